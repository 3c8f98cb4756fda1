//! The program as a user meets it: each subcommand on small data, its exit codes and its messages.

mod config;
mod data;
mod doctor;
mod model;
mod program;
mod score;
