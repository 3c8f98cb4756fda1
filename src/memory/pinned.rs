//! Memory that is written in place by one owner, and read by others for a while: copy on write.
//!
//! [`Pinnable::view`] gives a counted view, and pins the memory: nobody writes it while a view is left.
//! Who wants to write then gets the memory back where all views are gone, and a copy otherwise; the
//! views keep the old bytes, and no later write is copied until there is a view again.
//!
//! Invariant: either the owner has the memory and there is no view, or nobody writes it.

/// A counted read-only view of memory.
pub(super) trait View: Clone {
    /// What is viewed.
    type Memory;

    /// Ends writing.
    fn freeze(memory: Self::Memory) -> Self;

    /// The memory, when this is the only view.
    fn into_memory(self) -> Result<Self::Memory, Self>;
}

/// Memory with one owner, who may have given views of it away.
pub(super) struct Pinnable<V: View> {
    state: State<V>,
}

enum State<V: View> {
    Own(V::Memory),
    Pinned(V),
    /// Only inside a function of this module.
    Between,
}

impl<V: View> Pinnable<V> {
    /// Memory that the owner may write.
    pub(super) fn new(memory: V::Memory) -> Pinnable<V> {
        Pinnable { state: State::Own(memory) }
    }

    /// The memory, unless it is pinned.
    pub(super) fn own(&mut self) -> Option<&mut V::Memory> {
        match &mut self.state {
            State::Own(memory) => Some(memory),
            _ => None,
        }
    }

    /// A view of the memory, which is pinned now.
    pub(super) fn view(&mut self) -> V {
        let view = match std::mem::replace(&mut self.state, State::Between) {
            State::Own(memory) => V::freeze(memory),
            State::Pinned(view) => view,
            State::Between => unreachable!("no function leaves this state behind"),
        };
        self.state = State::Pinned(view.clone());
        view
    }

    /// The memory for writing: itself where no view is left, else what `copy` makes of it.
    pub(super) fn unpin(&mut self, copy: impl FnOnce(&V) -> V::Memory) -> &mut V::Memory {
        let memory = match std::mem::replace(&mut self.state, State::Between) {
            State::Own(memory) => memory,
            State::Pinned(view) => view.into_memory().unwrap_or_else(|view| copy(&view)),
            State::Between => unreachable!("no function leaves this state behind"),
        };
        self.state = State::Own(memory);
        match &mut self.state {
            State::Own(memory) => memory,
            _ => unreachable!("it was set just now"),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Every interleaving of a shard that adds with readers of views, by `loom`, which finds a read
    //! beside a write whatever the values are. The memory, two numbers that are always equal, is loom's.

    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    struct Numbers(UnsafeCell<[u64; 2]>);

    // SAFETY: loom itself finds accesses that overlap.
    unsafe impl Sync for Numbers {}

    impl Numbers {
        fn new(numbers: [u64; 2]) -> Numbers {
            Numbers(UnsafeCell::new(numbers))
        }

        fn read(&self) -> [u64; 2] {
            // SAFETY: loom stops the test when somebody writes meanwhile.
            self.0.with(|numbers| unsafe { *numbers })
        }

        fn add(&self, number: u64) {
            // SAFETY: as in `read`.
            self.0.with_mut(|numbers| unsafe { *numbers = [(*numbers)[0] + number, (*numbers)[1] + number] });
        }
    }

    /// What a view does about the last one.
    trait Care: 'static {
        fn into_memory(view: Arc<Numbers>) -> Result<Arc<Numbers>, Arc<Numbers>>;
    }

    struct Careful;
    struct Careless;

    impl Care for Careful {
        fn into_memory(mut view: Arc<Numbers>) -> Result<Arc<Numbers>, Arc<Numbers>> {
            if Arc::get_mut(&mut view).is_some() { Ok(view) } else { Err(view) }
        }
    }

    impl Care for Careless {
        /// The planted fault: takes the memory back under the eyes of a reader.
        fn into_memory(view: Arc<Numbers>) -> Result<Arc<Numbers>, Arc<Numbers>> {
            Ok(view)
        }
    }

    struct Counted<C>(Arc<Numbers>, std::marker::PhantomData<fn() -> C>);

    impl<C> Clone for Counted<C> {
        fn clone(&self) -> Counted<C> {
            Counted(Arc::clone(&self.0), std::marker::PhantomData)
        }
    }

    impl<C: Care> View for Counted<C> {
        type Memory = Arc<Numbers>;

        fn freeze(memory: Arc<Numbers>) -> Counted<C> {
            Counted(memory, std::marker::PhantomData)
        }

        fn into_memory(self) -> Result<Arc<Numbers>, Counted<C>> {
            C::into_memory(self.0).map_err(Counted::freeze)
        }
    }

    /// A shard that adds 1, gives a view to a reader on another thread, adds 2, gives another, adds 4.
    /// `copy` makes the fresh memory.
    fn freeze_against_add<C: Care>(copy: fn([u64; 2]) -> [u64; 2]) {
        loom::model(move || {
            let mut shard = Pinnable::<Counted<C>>::new(Arc::new(Numbers::new([0; 2])));
            let add = |shard: &mut Pinnable<Counted<C>>, number| {
                let fresh = |view: &Counted<C>| Arc::new(Numbers::new(copy(view.0.read())));
                shard.unpin(fresh).add(number);
            };
            add(&mut shard, 1);
            let mut readers = Vec::new();
            for (expected, number) in [(1, 2), (3, 4)] {
                let view = shard.view();
                readers.push(loom::thread::spawn(move || assert_eq!(view.0.read(), [expected; 2])));
                add(&mut shard, number);
            }
            readers.into_iter().for_each(|reader| reader.join().expect("the bytes of the freeze"));
            assert_eq!(shard.view().0.read(), [7; 2], "every addition is there");
        });
    }

    #[test]
    fn views_keep_their_bytes_and_no_addition_is_lost_whatever_the_interleaving() {
        freeze_against_add::<Careful>(|numbers| numbers);
    }

    #[test]
    #[should_panic]
    fn a_write_under_a_view_is_found() {
        freeze_against_add::<Careless>(|numbers| numbers);
    }

    #[test]
    #[should_panic(expected = "every addition is there")]
    fn a_lost_addition_is_found() {
        freeze_against_add::<Careful>(|_| [1; 2]);
    }
}
