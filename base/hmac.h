// SPDX-License-Identifier: Apache-2.0
#pragma once

// HMAC-SHA256 (RFC 2104) by OpenSSL.

#include "base/bytes.h"

namespace cvlan {

Bytes hmac_sha256(ByteView key, ByteView message);  // 32 bytes

}  // namespace cvlan
