//! The way in: a serde serializer.

use serde::ser::{self, Serialize};

use super::Unpackable;
use super::text::{number, put};
use super::words::Words;

/// Fields whose texts come from definitions, so that many records have them in common.
const SHARED: [&str; 3] = ["path", "id", "reason"];
/// Types all texts of which do.
const KIND: &str = "Kind";

pub(super) struct Writer<'a> {
    words: &'a mut Words,
    near: &'a [&'a str],
    out: &'a mut Vec<u8>,
    /// Whether the texts that come are shared ones.
    shared: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(words: &'a mut Words, near: &'a [&'a str], out: &'a mut Vec<u8>) -> Self {
        Self {
            words,
            near,
            out,
            shared: false,
        }
    }

    fn signed(&mut self, value: i64) {
        number(((value << 1) ^ (value >> 63)).cast_unsigned(), self.out);
    }
}

/// The fields of a struct.
pub(super) struct Fields<'b, 'a> {
    writer: &'b mut Writer<'a>,
    /// Whether the texts around the struct are shared ones.
    around: bool,
}

impl Fields<'_, '_> {
    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unpackable> {
        let before = self.writer.shared;
        self.writer.shared |= SHARED.contains(&name);
        value.serialize(&mut *self.writer)?;
        self.writer.shared = before;
        Ok(())
    }

    fn close(self) {
        self.writer.shared = self.around;
    }
}

type Done = Result<(), Unpackable>;

impl<'b, 'a> ser::Serializer for &'b mut Writer<'a> {
    type Ok = ();
    type Error = Unpackable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Fields<'b, 'a>;
    type SerializeStructVariant = Fields<'b, 'a>;

    fn serialize_bool(self, v: bool) -> Done {
        self.serialize_u8(v.into())
    }

    fn serialize_i8(self, v: i8) -> Done {
        self.serialize_i64(v.into())
    }

    fn serialize_i16(self, v: i16) -> Done {
        self.serialize_i64(v.into())
    }

    fn serialize_i32(self, v: i32) -> Done {
        self.serialize_i64(v.into())
    }

    fn serialize_i64(self, v: i64) -> Done {
        self.signed(v);
        Ok(())
    }

    fn serialize_u8(self, v: u8) -> Done {
        self.out.push(v);
        Ok(())
    }

    fn serialize_u16(self, v: u16) -> Done {
        self.serialize_u64(v.into())
    }

    fn serialize_u32(self, v: u32) -> Done {
        self.serialize_u64(v.into())
    }

    fn serialize_u64(self, v: u64) -> Done {
        number(v, self.out);
        Ok(())
    }

    fn serialize_f32(self, v: f32) -> Done {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Done {
        self.out.extend_from_slice(&v.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, v: char) -> Done {
        self.serialize_u32(v.into())
    }

    fn serialize_str(self, v: &str) -> Done {
        if self.shared {
            self.words.add(v);
        } else {
            self.words.add_own(v);
        }
        put(v, self.words, self.near, self.out);
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Done {
        number(v.len() as u64, self.out);
        self.out.extend_from_slice(v);
        Ok(())
    }

    fn serialize_none(self) -> Done {
        self.serialize_u8(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.out.push(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Done {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        number(index.into(), self.out);
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Unpackable> {
        let length = length.ok_or_else(|| Unpackable("the length is not known".to_owned()))?;
        number(length as u64, self.out);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Unpackable> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unpackable> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unpackable> {
        number(index.into(), self.out);
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Unpackable> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'b, 'a>, Unpackable> {
        let around = self.shared;
        self.shared |= name == KIND;
        Ok(Fields {
            writer: self,
            around,
        })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields<'b, 'a>, Unpackable> {
        number(index.into(), self.out);
        let around = self.shared;
        Ok(Fields {
            writer: self,
            around,
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! sequence {
    ($($trait:ident $method:ident),*) => {$(
        impl ser::$trait for &mut Writer<'_> {
            type Ok = ();
            type Error = Unpackable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}

sequence!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

impl ser::SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = Unpackable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Fields<'_, '_> {
            type Ok = ();
            type Error = Unpackable;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.field(name, value)
            }

            fn end(self) -> Done {
                self.close();
                Ok(())
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);
