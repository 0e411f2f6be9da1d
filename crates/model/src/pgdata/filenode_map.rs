//! `pg_filenode.map`: which files the catalogs lie in that have to be found before any catalog can be read (`relmapper.c`).

/// `RELMAPPER_FILEMAGIC`.
const MAGIC: u32 = 0x0059_2717;

/// The OID of `pg_database`.
pub const PG_DATABASE: u32 = 1262;

/// The file of a catalog, by the bytes of the map in `global/` or in a database's folder. `None` when the map does not have it, or is none.
pub fn filenode(map: &[u8], catalog: u32) -> Option<u32> {
    let word = |at: usize| map.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    if word(0)? != MAGIC {
        return None;
    }
    let count = usize::try_from(word(4)?).ok().filter(|count| *count <= 64)?;
    (0..count).map(|index| 8 + index * 8).find(|at| word(*at) == Some(catalog)).and_then(|at| word(at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_is_found_and_nonsense_is_not() {
        let mut map = Vec::new();
        for word in [MAGIC, 2, 1260, 1260, PG_DATABASE, 16_500] {
            map.extend_from_slice(&word.to_le_bytes());
        }
        assert_eq!(filenode(&map, PG_DATABASE), Some(16_500));
        assert_eq!(filenode(&map, 1), None);
        assert_eq!(filenode(&map[..20], PG_DATABASE), None);
        map[0] ^= 1;
        assert_eq!(filenode(&map, PG_DATABASE), None);
        map[0] ^= 1;
        map[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(filenode(&map, PG_DATABASE), None);
    }
}
