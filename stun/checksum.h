// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a message is checked by: two HMACs and a CRC. Without allocation, from any thread.

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "stun/message.h"

namespace cvlan::stun {

// Of the message up to the integrity attribute at `at`, whose header and value of `size` bytes the
// length field counts and the sum does not (RFC 8489 sections 14.5, 14.6).
std::array<uint8_t, kSha1Size> integrity_sha1(ByteView message, size_t at, ByteView key);
std::array<uint8_t, kSha256Size> integrity_sha256(ByteView message, size_t at, size_t size,
                                                  ByteView key);

// CRC-32 of ITU V.42 over what stands before the attribute, XORed with "STUN" (section 14.7). The
// length in its header must count the attribute already.
uint32_t fingerprint(ByteView before);

}  // namespace cvlan::stun
