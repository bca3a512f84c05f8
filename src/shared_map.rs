//! Maps that threads share.

use std::hash::Hash;

use dashmap::DashMap;

/// Parts that are locked one by one: enough that threads that import seldom meet.
const PARTS: usize = 16;

/// An empty map. `DashMap::new` makes as many parts as there are processors, and reads what control groups
/// say of them: 17 system calls at every start.
pub fn shared_map<K: Eq + Hash, V>() -> DashMap<K, V> {
    DashMap::with_shard_amount(PARTS)
}
