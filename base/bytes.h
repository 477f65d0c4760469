// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bytes and their text forms. Decoders are strict: no white space, no missing padding, no
// non-canonical trailing bits; anything else is Code::Invalid.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cvlan {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// RFC 4648 section 4, with padding.
std::string base64(ByteView bytes);
Result<Bytes> from_base64(std::string_view text);
// RFC 4648 section 5, without padding.
std::string base64url(ByteView bytes);
Result<Bytes> from_base64url(std::string_view text);
// RFC 4648 section 6, lower case, without padding; for names of devices.
std::string base32_lower(ByteView bytes);
std::string hex(ByteView bytes);
Result<Bytes> from_hex(std::string_view text);

Bytes sha256(ByteView bytes);      // 32 bytes
Bytes random_bytes(size_t count);  // getrandom; aborts if the kernel has none

// A UUIDv7 (RFC 9562) of this moment, lower case.
std::string new_uuid(int64_t unix_ms);
bool is_uuid(std::string_view text);  // canonical lower case form, any version

// Well-formed UTF-8 (RFC 3629): no overlong form, no surrogate.
bool is_utf8(std::string_view text);

// Text from a remote side made safe for a terminal or a log: C0, DEL, C1 and bidi controls become
// '?'.
std::string printable(std::string_view text);

}  // namespace cvlan
