//! Numbers and texts as bytes: unsigned numbers take 7 bits a byte, the lowest first; texts and byte strings follow
//! their length. What is missing at the end of a value reads as its default, so that values can grow.

use std::time::Duration;

/// Bytes that are no journal of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damaged(pub(crate) String);

impl Damaged {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Collects bytes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        let mut rest: u64 = number.into();
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self
    }

    /// Nothing at all for false, which is what a missing number reads as: only at the end of a value.
    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        if flag {
            self.number(1u8);
        }
        self
    }

    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        self.number(count as u64)
    }

    /// A number that may be negative, small when it is near 0.
    pub(crate) fn signed(&mut self, number: i64) -> &mut Self {
        self.number(((number << 1) ^ (number >> 63)) as u64)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.blob(text.as_bytes())
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// In microseconds.
    pub(crate) fn time(&mut self, time: Duration) -> &mut Self {
        self.number(micros(time))
    }

    /// 0 for none.
    pub(crate) fn maybe_time(&mut self, time: Option<Duration>) -> &mut Self {
        self.number(time.map_or(0, |time| micros(time).saturating_add(1)))
    }

    /// 0 for none.
    pub(crate) fn maybe(&mut self, number: Option<u32>) -> &mut Self {
        self.number(number.map_or(0, |number| u64::from(number) + 1))
    }

    /// One bit each.
    pub(crate) fn bits(&mut self, bits: impl Iterator<Item = bool>) -> &mut Self {
        let (mut byte, mut filled) = (0u8, 0);
        for bit in bits {
            byte |= u8::from(bit) << filled;
            filled += 1;
            if filled == 8 {
                self.bytes.push(byte);
                (byte, filled) = (0, 0);
            }
        }
        if filled > 0 {
            self.bytes.push(byte);
        }
        self
    }

    /// Numbers that often repeat: each with how often it comes.
    pub(crate) fn runs(&mut self, numbers: impl Iterator<Item = u64>) -> &mut Self {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some((last, times)) if *last == number => *times += 1,
                _ => runs.push((number, 1)),
            }
        }
        self.count(runs.len());
        for (number, times) in runs {
            self.number(number).number(times);
        }
        self
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A time as it comes back from the journal.
pub(crate) fn whole_micros(time: Duration) -> Duration {
    Duration::from_micros(micros(time))
}

/// Reads what [`Writer`] wrote.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next number; 0 when nothing is left.
    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let (mut number, mut shift) = (0u64, 0);
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
            if shift > 63 {
                return Err(Damaged::new("a number that is too long"));
            }
        }
        if shift == 0 {
            Ok(0)
        } else {
            Err(Damaged::new("a number that is cut off"))
        }
    }

    pub(crate) fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        T::try_from(self.number()?).map_err(|_| Damaged::new("a number that is too large"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A number of things that follow, each of at least one byte; so that damage cannot ask for much memory.
    pub(crate) fn count(&mut self) -> Result<usize, Damaged> {
        let count: usize = self.narrow()?;
        if count > self.rest.len() {
            return Err(Damaged::new("more entries than bytes"));
        }
        Ok(count)
    }

    pub(crate) fn blob(&mut self) -> Result<&'a [u8], Damaged> {
        let len = self.count()?;
        let (blob, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(blob)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.blob()?).map_err(|_| Damaged::new("a text that is not UTF-8"))
    }

    pub(crate) fn owned(&mut self) -> Result<String, Damaged> {
        self.text().map(str::to_owned)
    }

    pub(crate) fn time(&mut self) -> Result<Duration, Damaged> {
        self.number().map(Duration::from_micros)
    }

    pub(crate) fn maybe_time(&mut self) -> Result<Option<Duration>, Damaged> {
        Ok(self.number()?.checked_sub(1).map(Duration::from_micros))
    }

    pub(crate) fn maybe(&mut self) -> Result<Option<u32>, Damaged> {
        let number = self.number()?.checked_sub(1);
        let narrow = |number| u32::try_from(number).map_err(|_| Damaged::new("a number that is too large"));
        number.map(narrow).transpose()
    }

    pub(crate) fn bits(&mut self, count: usize) -> Result<Vec<bool>, Damaged> {
        let bytes = count.div_ceil(8);
        if bytes > self.rest.len() {
            return Err(Damaged::new("fewer bits than tasks"));
        }
        let (bits, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        Ok((0..count)
            .map(|bit| bits[bit / 8] >> (bit % 8) & 1 == 1)
            .collect())
    }

    /// Exactly `count` numbers of [`Writer::runs`].
    pub(crate) fn runs(&mut self, count: usize) -> Result<Vec<u64>, Damaged> {
        let mut numbers = Vec::with_capacity(count.min(1 << 20));
        for _ in 0..self.count()? {
            let (number, times) = (self.number()?, self.narrow::<usize>()?);
            if times > count - numbers.len() {
                return Err(Damaged::new("a run that is too long"));
            }
            numbers.resize(numbers.len() + times, number);
        }
        if numbers.len() == count {
            Ok(numbers)
        } else {
            Err(Damaged::new("runs that are too short"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in any::<u64>(), signed in any::<i64>(), text in ".{0,20}", maybe in any::<Option<u32>>(),
            bits in prop::collection::vec(any::<bool>(), 0..40), runs in prop::collection::vec(0u64..3, 0..40),
        ) {
            let mut writer = Writer::default();
            writer.number(number).signed(signed).text(&text).maybe(maybe);
            writer.bits(bits.iter().copied()).runs(runs.iter().copied());
            let mut reader = Reader::new(&writer.bytes);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.text(), Ok(text.as_str()));
            prop_assert_eq!(reader.maybe(), Ok(maybe));
            prop_assert_eq!(reader.bits(bits.len()), Ok(bits));
            prop_assert_eq!(reader.runs(runs.len()), Ok(runs));
            prop_assert!(reader.is_empty());
            prop_assert_eq!(reader.number(), Ok(0), "what is missing is the default");
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            let _ = (reader.number(), reader.text().is_ok(), reader.runs(9), reader.bits(9), reader.blob().is_ok());
        }
    }
}
