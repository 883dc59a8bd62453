//! How deep the tables of a frame are nested, found without recursion.
//!
//! `amq-protocol` reads nested tables by recursion. A frame of 128 KiB can nest more than 20,000 of them, enough to end
//! the process by a stack overflow, so the depth is looked at first.

/// Depth of the tables in the payload of a method frame; `None` if they cannot be walked through.
pub(super) fn of_method(payload: &[u8]) -> Option<usize> {
    let mut at = Cursor(payload);
    // What stands before the table: `h` two bytes, `s` a short string, `b` one byte.
    let before = match (at.u16()?, at.u16()?) {
        (10, 10) => "bb",
        (10, 11) => "",
        (40, 10) => "hssb",
        (40, 30 | 40) | (50, 20) => "hsssb",
        (50, 10) => "hsb",
        (50, 50) => "hsss",
        (60, 20) => "hssb",
        _ => return Some(0),
    };
    for field in before.bytes() {
        match field {
            b'h' => at.skip(2)?,
            b's' => at.short_string()?,
            _ => at.skip(1)?,
        }
    }
    at.table_depth()
}

/// Depth of the headers in the payload of a content header frame.
pub(super) fn of_header(payload: &[u8]) -> Option<usize> {
    let mut at = Cursor(payload);
    at.skip(12)?;
    let flags = at.u16()?;
    for bit in [15, 14] {
        if flags & (1 << bit) != 0 {
            at.short_string()?;
        }
    }
    if flags & (1 << 13) == 0 { Some(0) } else { at.table_depth() }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn length(&mut self) -> Option<usize> {
        let size = u32::from_be_bytes([self.u8()?, self.u8()?, self.u8()?, self.u8()?]) as usize;
        (size <= self.0.len()).then_some(size)
    }

    fn short_string(&mut self) -> Option<()> {
        let size = self.u8()?;
        self.skip(usize::from(size))
    }

    /// Walks through the table at the cursor. `open` holds, per open table or array, how many bytes were left after
    /// its end.
    fn table_depth(&mut self) -> Option<usize> {
        let size = self.length()?;
        let mut open = vec![(true, self.0.len() - size)];
        let mut deepest = 1;
        while let Some(&(named, end)) = open.last() {
            if self.0.len() <= end {
                // An entry that reaches over the end of its table.
                if self.0.len() < end {
                    return None;
                }
                open.pop();
                continue;
            }
            if named {
                self.short_string()?;
            }
            match self.u8()? {
                b't' | b'b' | b'B' => self.skip(1)?,
                b's' | b'U' | b'u' => self.skip(2)?,
                b'I' | b'i' | b'f' => self.skip(4)?,
                b'l' | b'L' | b'd' | b'T' => self.skip(8)?,
                b'D' => self.skip(5)?,
                b'S' | b'x' => {
                    let size = self.length()?;
                    self.skip(size)?;
                }
                kind @ (b'F' | b'A') => {
                    let size = self.length()?;
                    open.push((kind == b'F', self.0.len() - size));
                    deepest = deepest.max(open.len());
                    if deepest > super::limits::NESTING {
                        return Some(deepest);
                    }
                }
                b'V' => {}
                _ => return None,
            }
        }
        Some(deepest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut table = vec![0, 0, 0, 0];
        for _ in 1..levels {
            let mut outer = vec![1, b'k', b'F'];
            outer.extend(table);
            let mut sized = u32::try_from(outer.len()).unwrap().to_be_bytes().to_vec();
            sized.extend(outer);
            table = sized;
        }
        [&[0, 10, 0, 11][..], &table].concat()
    }

    #[test]
    fn depth_of_nested_tables_is_counted() {
        for levels in [1, 2, 10, 32] {
            assert_eq!(of_method(&nested(levels)), Some(levels));
        }
        assert!(of_method(&nested(10_000)).is_some_and(|depth| depth > 32));
    }

    #[test]
    fn a_table_longer_than_its_frame_is_refused() {
        assert_eq!(of_method(&[0, 10, 0, 11, 0, 0, 0, 9, 1]), None);
        assert_eq!(of_method(&[0, 10, 0, 11, 0, 0, 0, 3, 1, b'k', b'z']), None);
    }

    #[test]
    fn methods_without_tables_have_no_depth() {
        assert_eq!(of_method(&[0, 60, 0, 80, 0]), Some(0));
        assert_eq!(of_header(&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Some(0));
    }
}
