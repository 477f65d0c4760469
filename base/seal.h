// SPDX-License-Identifier: Apache-2.0
#pragma once

// What lies on a disk or in a database and is to be read by the holder of a key alone: AES-256-GCM
// with a random nonce. Sealed: nonce (12 bytes), ciphertext, tag (16 bytes). One key may seal some
// millions of texts.

#include "base/bytes.h"

namespace cvlan {

Bytes seal(ByteView key, ByteView text);  // `key` of 32 bytes
// Denied: another key, or other bytes than were sealed.
Result<std::string> unseal(ByteView key, ByteView sealed);

}  // namespace cvlan
