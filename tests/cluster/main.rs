//! Real processes on loopback: what a user sees when a job goes well, and when something in it dies,
//! is asked to stop, or is given what makes no sense.
//!
//! Every test has a folder of its own for data, results and temporary files. A job has ended well
//! when no process of it runs and no file of it is left, which every test checks.

mod bad_input;
mod by_hand;
mod client;
mod consistency;
mod dbpg;
mod death;
mod filters;
mod full_disk;
mod functions;
mod in_process;
mod in_process_loss;
mod link;
mod outcome;
mod proxy;
mod rows;
mod scratch;
mod sequential;
mod signal;
mod slow_worker;
mod stranger;
mod streamed;
mod train;
mod worker_loss;
