// SPDX-License-Identifier: Apache-2.0
#include "base/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>

namespace cvlan {

Bytes hmac_sha256(ByteView key, ByteView message) {
    Bytes mac(32);
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
              message.size(), mac.data(), &size))
        std::abort();
    return mac;
}

}  // namespace cvlan
