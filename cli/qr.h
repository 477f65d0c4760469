// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "base/secret.h"

namespace cvlan::cli {

// A QR code of `text` for a terminal of light on dark: two rows a line in UTF-8's half blocks, with
// the quiet zone that readers need. TooLarge above 2953 bytes (ISO/IEC 18004, version 40-L).
Result<SecretText> qr_code(const SecretText& text);

}  // namespace cvlan::cli
