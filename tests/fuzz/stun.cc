// SPDX-License-Identifier: Apache-2.0
// STUN messages. What was read and is written again is read as the same; a truncation is refused;
// what a fingerprint or a key proves stands before it.
#include <array>
#include <cstdlib>

#include "stun/builder.h"

namespace {

using namespace cvlan;

void check(bool is_good) {
    if (!is_good) std::abort();
}

// Our own message of what `read` says, once more.
void rewrite(const stun::Message& read) {
    std::array<uint8_t, 4096> buffer;
    stun::Builder builder(buffer, read.message_class(), read.method(), read.transaction());
    if (read.username()) builder.username(*read.username());
    if (read.nonce()) builder.nonce(*read.nonce());
    if (read.mapped()) builder.mapped(*read.mapped());
    if (read.software()) builder.software(*read.software());
    if (read.error_code()) builder.error(*read.error_code());
    if (!read.refused().empty()) builder.refused(read.refused().types());
    const auto written = builder.integrity(as_bytes("key")).fingerprint().finish();
    check(written.has_value());
    const auto again = stun::Message::parse(*written);
    check(again.has_value() && again->is(read.message_class(), read.method()));
    check(again->transaction() == read.transaction() && again->mapped() == read.mapped());
    check(again->username() == read.username() && again->software() == read.software());
    check(again->nonce() == read.nonce());
    check(again->error_code() == read.error_code() && again->unknown().empty());
    check(again->has_fingerprint() && again->is_authentic(as_bytes("key")));
    check(!stun::Message::parse(written->first(written->size() - 4)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    const ByteView datagram(bytes, size);
    const auto read = stun::Message::parse(datagram);
    check(!read || stun::Message::looks_like_one(datagram));
    if (!read) return 0;
    check(!stun::Message::parse(datagram.first(size - 1)));
    (void)read->is_authentic(as_bytes("key"), 16);
    (void)read->is_authentic_sha1(as_bytes("VOkJxbRl1RmTxUk/WvJxBt"));
    rewrite(*read);
    return 0;
}
