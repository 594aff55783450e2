//! The codec of all calls: protocol buffers, with INVALID_ARGUMENT instead of INTERNAL for a message that cannot be decoded.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec as TonicCodec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::status;

/// The codec of every call.
#[derive(Debug, Clone)]
pub struct Codec<T, U> {
    types: PhantomData<(T, U)>,
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self { types: PhantomData }
    }
}

type Inner<T, U> = ProstCodec<T, U>;

impl<T, U> TonicCodec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <Inner<T, U> as TonicCodec>::Encoder;
    type Decoder = BlamingDecoder<<Inner<T, U> as TonicCodec>::Decoder>;

    fn encoder(&mut self) -> Self::Encoder {
        Inner::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BlamingDecoder(Inner::<T, U>::default().decoder())
    }
}

/// A decoder that blames the client for malformed messages.
#[derive(Debug)]
pub struct BlamingDecoder<D>(D);

impl<D: Decoder<Error = Status>> Decoder for BlamingDecoder<D> {
    type Item = D::Item;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        self.0.decode(bytes).map_err(|error| match error.code() {
            Code::Internal => status::undecodable(error.message()),
            _ => error,
        })
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}
