//! Names for things that a peer will name again: offers of memory, on both sides of a link.
//!
//! A token is an index and a serial number, so that one that was used, or belongs to an earlier link,
//! names nothing.

const INDEX_BITS: u32 = 14;
/// Things that one link can have named at a time.
pub(super) const TOKENS_MAX: usize = 1 << INDEX_BITS;

/// What was named and not yet taken back.
#[derive(Debug)]
pub(super) struct Tokens<T> {
    entries: Vec<Option<(u32, T)>>,
    free: Vec<u32>,
    serial: u32,
}

impl<T> Tokens<T> {
    /// No names yet. Links of different generations start at different serial numbers.
    pub(super) fn new(generation: u16) -> Tokens<T> {
        // A prime far from any power of two spreads the starts over all serial numbers.
        Tokens { entries: Vec::new(), free: Vec::new(), serial: u32::from(generation).wrapping_mul(4099) }
    }

    /// A token for `thing`; the thing itself when there are too many.
    pub(super) fn insert(&mut self, thing: T) -> Result<u32, T> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.entries.len() == TOKENS_MAX => return Err(thing),
            None => {
                self.entries.push(None);
                self.entries.len() as u32 - 1
            }
        };
        self.serial = self.serial.wrapping_add(1);
        let token = self.serial << INDEX_BITS | index;
        self.entries[index as usize] = Some((token, thing));
        Ok(token)
    }

    /// What the token names, if anything.
    pub(super) fn named(&self, token: u32) -> Option<&T> {
        let (found, thing) = self.entries.get(index_of(token))?.as_ref()?;
        (*found == token).then_some(thing)
    }

    /// What the token names, to be changed.
    pub(super) fn named_mut(&mut self, token: u32) -> Option<&mut T> {
        let (found, thing) = self.entries.get_mut(index_of(token))?.as_mut()?;
        (*found == token).then_some(thing)
    }

    /// Takes back what the token names.
    pub(super) fn remove(&mut self, token: u32) -> Option<T> {
        self.named(token)?;
        let (_, thing) = self.entries[index_of(token)].take()?;
        self.free.push(index_of(token) as u32);
        Some(thing)
    }

    /// Whether nothing more can be named.
    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.entries.len() == TOKENS_MAX
    }

    /// How many things have a name.
    pub(super) fn count(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

fn index_of(token: u32) -> usize {
    (token & ((1 << INDEX_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_thing_once() {
        let mut tokens = Tokens::new(1);
        let first = tokens.insert("first").expect("room");
        let second = tokens.insert("second").expect("room");
        assert_eq!((tokens.named(first), tokens.count()), (Some(&"first"), 2));
        assert_eq!((tokens.remove(first), tokens.remove(first)), (Some("first"), None));
        let third = tokens.insert("third").expect("room");
        assert_eq!((index_of(third), tokens.named(first)), (index_of(first), None));
        assert_eq!(tokens.remove(second), Some("second"));
        assert_eq!(Tokens::<()>::new(1).remove(third), None);
    }

    #[test]
    fn tokens_of_an_earlier_link_name_nothing() {
        let mut earlier = Tokens::new(1);
        let tokens: Vec<u32> = (0..1000).map(|thing| earlier.insert(thing).expect("room")).collect();
        let mut later = Tokens::new(2);
        (0..1000).for_each(|thing| assert!(later.insert(thing).is_ok()));
        assert!(tokens.iter().all(|&token| later.named(token).is_none()));
    }

    #[test]
    fn there_are_not_endlessly_many() {
        let mut tokens = Tokens::new(1);
        (0..TOKENS_MAX).for_each(|thing| assert!(tokens.insert(thing).is_ok()));
        assert!(tokens.is_full());
        assert_eq!(tokens.insert(7), Err(7));
    }
}
