// SPDX-License-Identifier: Apache-2.0
#include "cli/qr.h"

#include <qrencode.h>

#include <memory>

namespace cvlan::cli {

namespace {

constexpr int kQuiet = 4;  // modules around the code

struct WipeAndFree {
    void operator()(QRcode* code) const {
        OPENSSL_cleanse(code->data,
                        static_cast<size_t>(code->width) * static_cast<size_t>(code->width));
        QRcode_free(code);
    }
};

bool is_light(const QRcode& code, int row, int column) {
    if (row < 0 || column < 0 || row >= code.width || column >= code.width) return true;
    return (code.data[row * code.width + column] & 1) == 0;
}

}  // namespace

Result<SecretText> qr_code(const SecretText& text) {
    const auto size = static_cast<int>(text.reveal().size());
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.reveal().data());
    const std::unique_ptr<QRcode, WipeAndFree> code(
        QRcode_encodeData(size, bytes, 0, QR_ECLEVEL_L));
    if (!code)
        return fail(Code::TooLarge, "{} bytes are too many for a QR code, which holds 2953", size);
    std::string out;
    const int end = code->width + kQuiet;
    // Three bytes a block at most: no copy is left behind by growing.
    out.reserve(static_cast<size_t>(end + kQuiet) * static_cast<size_t>(end + kQuiet) * 2);
    for (int row = -kQuiet; row < end; row += 2) {
        for (int column = -kQuiet; column < end; ++column) {
            const bool above = is_light(*code, row, column);
            const bool below = row + 1 < end && is_light(*code, row + 1, column);
            out += above ? (below ? "█" : "▀") : (below ? "▄" : " ");
        }
        out += '\n';
    }
    return SecretText(std::move(out));
}

}  // namespace cvlan::cli
