// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bytes that must not leak: wiped on destruction and on being moved from, printed as ***, compared
// in constant time. Copying is explicit (clone), so that no copy is left behind by accident.

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace cvlan {

template <size_t N>
class Secret {
public:
    Secret() = default;
    explicit Secret(std::span<const uint8_t, N> bytes) {
        std::memcpy(bytes_.data(), bytes.data(), N);
    }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    Secret(Secret&& other) noexcept { take(other); }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) take(other);
        return *this;
    }
    ~Secret() { wipe(); }

    Secret clone() const { return Secret(std::span<const uint8_t, N>(bytes_)); }
    std::span<const uint8_t, N> bytes() const { return bytes_; }
    std::span<uint8_t, N> writable() { return bytes_; }

    bool empty() const {
        uint8_t any = 0;
        for (uint8_t byte : bytes_) any = static_cast<uint8_t>(any | byte);
        return any == 0;
    }
    bool operator==(const Secret& other) const {
        return CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), N) == 0;
    }

private:
    // Most peers of a device have no preshared key: what is empty needs no call.
    void wipe() {
        if (!empty()) OPENSSL_cleanse(bytes_.data(), N);
    }
    void take(Secret& other) {
        std::memcpy(bytes_.data(), other.bytes_.data(), N);
        other.wipe();
    }
    std::array<uint8_t, N> bytes_{};
};

// Secret text of any length (a PEM key, a token). Wiped like Secret.
class SecretText {
public:
    SecretText() = default;
    explicit SecretText(std::string text) : text_(std::move(text)) {}
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;
    // A copy and a wipe: moving a short string leaves its bytes behind.
    // NOLINTNEXTLINE(performance-move-constructor-init)
    SecretText(SecretText&& other) noexcept : text_(other.text_) { other.wipe(); }
    SecretText& operator=(SecretText&& other) noexcept {
        if (this != &other) {
            wipe();
            text_ = other.text_;
            other.wipe();
        }
        return *this;
    }
    ~SecretText() { wipe(); }

    SecretText clone() const { return SecretText(text_); }
    const std::string& reveal() const { return text_; }
    bool empty() const { return text_.empty(); }

private:
    void wipe() {
        OPENSSL_cleanse(text_.data(), text_.size());
        text_.clear();
    }
    std::string text_;
};

}  // namespace cvlan

template <size_t N>
struct fmt::formatter<cvlan::Secret<N>> : fmt::formatter<fmt::string_view> {
    auto format(const cvlan::Secret<N>&, format_context& context) const {
        return formatter<fmt::string_view>::format("***", context);
    }
};
template <>
struct fmt::formatter<cvlan::SecretText> : fmt::formatter<fmt::string_view> {
    auto format(const cvlan::SecretText&, format_context& context) const {
        return formatter<fmt::string_view>::format("***", context);
    }
};
