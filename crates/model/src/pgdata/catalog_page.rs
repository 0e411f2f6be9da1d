//! Rows of catalogs that begin with an OID and a name, as `pg_database` does, read from the pages they lie in: all versions of each row, those that are
//! no longer seen too.

/// Bytes of a page's header (`PageHeaderData`).
const PAGE_HEADER: usize = 24;
/// Where a tuple's header says how long it is (`t_hoff`).
const HEADER_LENGTH_AT: usize = 22;
/// Bytes of a name (`NAMEDATALEN`).
const NAME_BYTES: usize = 64;
/// The state of a line pointer that leads to a tuple (`LP_NORMAL`).
const NORMAL: u32 = 1;

/// OIDs and names of all rows on a page. What is no row is passed over: the page may have been copied while it was written.
pub fn rows(page: &[u8]) -> Vec<(u32, String)> {
    let lower = page.get(12..14).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    let pointers = page.get(PAGE_HEADER..lower.min(page.len())).unwrap_or_default();
    let (pointers, _) = pointers.as_chunks::<4>();
    pointers.iter().filter_map(|pointer| row(page, u32::from_le_bytes(*pointer))).collect()
}

fn row(page: &[u8], pointer: u32) -> Option<(u32, String)> {
    let (offset, state, length) = ((pointer & 0x7FFF) as usize, (pointer >> 15) & 3, (pointer >> 17) as usize);
    let tuple = page.get(offset..offset + length).filter(|_| state == NORMAL)?;
    let data = tuple.get(usize::from(*tuple.get(HEADER_LENGTH_AT)?)..)?;
    let oid = u32::from_le_bytes(data.get(..4)?.try_into().ok()?);
    let name = data.get(4..4 + NAME_BYTES)?.split(|byte| *byte == 0).next()?;
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    (oid > 0).then(|| (oid, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(state: u32) -> Vec<u8> {
        let mut page = vec![0; 8192];
        page[12..14].copy_from_slice(&28_u16.to_le_bytes());
        let (offset, length) = (8000_u32, 120_u32);
        page[24..28].copy_from_slice(&(offset | state << 15 | length << 17).to_le_bytes());
        page[8000 + HEADER_LENGTH_AT] = 24;
        page[8024..8028].copy_from_slice(&16_384_u32.to_le_bytes());
        page[8028..8032].copy_from_slice(b"shop");
        page
    }

    #[test]
    fn rows_are_read_and_what_is_none_is_passed_over() {
        assert_eq!(rows(&page(NORMAL)), [(16_384, "shop".to_owned())]);
        assert_eq!(rows(&page(0)), []);
        assert_eq!(rows(&vec![0; 8192]), []);
        assert_eq!(rows(&[]), []);
        let mut beyond = page(NORMAL);
        beyond[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(rows(&beyond), []);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = rows(&bytes);
        }
    }
}
