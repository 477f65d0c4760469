// SPDX-License-Identifier: Apache-2.0
#pragma once

// WireGuard's keys: Curve25519 (RFC 7748) by OpenSSL, in the usual text form, 44 characters of
// base64 with padding. Private and preshared keys are wiped where they end.

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace cvlan::wg {

constexpr size_t kKeySize = 32;

using PrivateKey = Secret<kKeySize>;
using PresharedKey = Secret<kKeySize>;

class PublicKey {
public:
    PublicKey() = default;  // all zero: no key
    explicit PublicKey(const std::array<uint8_t, kKeySize>& bytes) : bytes_(bytes) {}
    static Result<PublicKey> parse(std::string_view base64);

    const std::array<uint8_t, kKeySize>& bytes() const { return bytes_; }
    std::array<uint8_t, kKeySize>& writable() { return bytes_; }
    std::string text() const;
    bool empty() const { return bytes_ == std::array<uint8_t, kKeySize>{}; }
    auto operator<=>(const PublicKey&) const = default;

private:
    std::array<uint8_t, kKeySize> bytes_{};
};

PrivateKey generate_private_key();  // getrandom, clamped
PresharedKey generate_preshared_key();
Result<PublicKey> public_key_of(const PrivateKey& key);
// X25519: what the holders of the two private keys have in common. Invalid for a key that no secret
// is shared with.
Result<Secret<kKeySize>> shared_secret(const PrivateKey& mine, const PublicKey& theirs);
// False for the all-zero key and the other points of low order, with which no secret is shared.
bool is_usable_public_key(const PublicKey& key);

// Private and preshared keys alike; an error never repeats the text.
Result<Secret<kKeySize>> parse_secret_key(std::string_view base64);
SecretText secret_key_text(const Secret<kKeySize>& key);

}  // namespace cvlan::wg

template <>
struct fmt::formatter<cvlan::wg::PublicKey> : fmt::formatter<fmt::string_view> {
    auto format(const cvlan::wg::PublicKey& key, format_context& context) const {
        return formatter<fmt::string_view>::format(key.text(), context);
    }
};
