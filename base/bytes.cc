// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace cvlan {

namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::string_view kHex = "0123456789abcdef";

constexpr std::array<int8_t, 256> inverse(std::string_view alphabet) {
    std::array<int8_t, 256> table{};
    table.fill(-1);
    for (size_t i = 0; i < alphabet.size(); ++i)
        table[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
    return table;
}

// Takes the bits of `bytes` in groups of `group` bits, high bits first; the last group is filled
// with 0.
std::string encode_bits(ByteView bytes, std::string_view alphabet, unsigned group) {
    std::string text;
    text.reserve((bytes.size() * 8 + group - 1) / group);
    uint32_t bits = 0;
    unsigned held = 0;
    for (uint8_t byte : bytes) {
        bits = (bits << 8) | byte;
        held += 8;
        while (held >= group) {
            held -= group;
            text += alphabet[(bits >> held) & ((1u << group) - 1)];
        }
    }
    if (held > 0) text += alphabet[(bits << (group - held)) & ((1u << group) - 1)];
    return text;
}

Result<Bytes> decode_bits(std::string_view text, const std::array<int8_t, 256>& table,
                          unsigned group) {
    Bytes bytes;
    bytes.reserve(text.size() * group / 8);
    uint32_t bits = 0;
    unsigned held = 0;
    for (char c : text) {
        const int8_t digit = table[static_cast<uint8_t>(c)];
        if (digit < 0) return fail(Code::Invalid, "character outside the alphabet");
        bits = (bits << group) | static_cast<uint32_t>(digit);
        held += group;
        if (held >= 8) {
            held -= 8;
            bytes.push_back(static_cast<uint8_t>(bits >> held));
        }
    }
    if (held >= group || (bits & ((1u << held) - 1)) != 0)
        return fail(Code::Invalid, "trailing bits");
    return bytes;
}

}  // namespace

std::string base64(ByteView bytes) {
    std::string text = encode_bits(bytes, kBase64, 6);
    text.append((4 - text.size() % 4) % 4, '=');
    return text;
}

Result<Bytes> from_base64(std::string_view text) {
    static constexpr auto kTable = inverse(kBase64);
    if (text.size() % 4 != 0) return fail(Code::Invalid, "base64: length is no multiple of 4");
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
    auto bytes = decode_bits(text, kTable, 6);
    if (!bytes) return failed(bytes.error().while_doing("base64"));
    return bytes;
}

std::string base64url(ByteView bytes) { return encode_bits(bytes, kBase64Url, 6); }

Result<Bytes> from_base64url(std::string_view text) {
    static constexpr auto kTable = inverse(kBase64Url);
    auto bytes = decode_bits(text, kTable, 6);
    if (!bytes) return failed(bytes.error().while_doing("base64url"));
    return bytes;
}

std::string base32_lower(ByteView bytes) { return encode_bits(bytes, kBase32, 5); }

std::string hex(ByteView bytes) { return encode_bits(bytes, kHex, 4); }

Result<Bytes> from_hex(std::string_view text) {
    static constexpr auto kTable = inverse(kHex);
    auto bytes = decode_bits(text, kTable, 4);
    if (!bytes) return failed(bytes.error().while_doing("hex"));
    return bytes;
}

Bytes sha256(ByteView bytes) {
    Bytes digest(32);
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
        std::abort();
    return digest;
}

Bytes random_bytes(size_t count) {
    Bytes bytes(count);
    size_t have = 0;
    while (have < count) {
        const ssize_t got = getrandom(bytes.data() + have, count - have, 0);
        if (got < 0 && errno != EINTR) std::abort();
        if (got > 0) have += static_cast<size_t>(got);
    }
    return bytes;
}

std::string new_uuid(int64_t unix_ms) {
    Bytes id = random_bytes(16);
    for (size_t i = 0; i < 6; ++i) id[i] = static_cast<uint8_t>(unix_ms >> (40 - 8 * i));
    id[6] = static_cast<uint8_t>(0x70 | (id[6] & 0x0F));  // RFC 9562: version 7
    id[8] = static_cast<uint8_t>(0x80 | (id[8] & 0x3F));  // variant
    const std::string text = hex(id);
    return text.substr(0, 8) + '-' + text.substr(8, 4) + '-' + text.substr(12, 4) + '-' +
           text.substr(16, 4) + '-' + text.substr(20);
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : kHex.find(text[i]) == std::string_view::npos) return false;
    }
    return true;
}

namespace {

struct CodePoint {
    uint32_t value = 0;
    size_t size = 0;  // 0: not well-formed
};

CodePoint code_point_at(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
    const uint8_t lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || at + size > text.size()) return {};
    uint32_t value = lead & (0xFFu >> (size + 1));
    for (size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {};
        value = (value << 6) | (byte(i) & 0x3Fu);
    }
    constexpr std::array<uint32_t, 5> kLowest{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (value < kLowest[size] || value > 0x10FFFF || surrogate) return {};
    return {value, size};
}

bool is_control(uint32_t c) {
    const bool bidi = c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
                      (c >= 0x2066 && c <= 0x2069);
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 || bidi;
}

}  // namespace

bool is_utf8(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const CodePoint point = code_point_at(text, at);
        if (point.size == 0) return false;
        at += point.size;
    }
    return true;
}

std::string printable(std::string_view text) {
    std::string safe;
    safe.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const CodePoint point = code_point_at(text, at);
        if (point.size == 0 || is_control(point.value))
            safe += '?';
        else
            safe += text.substr(at, point.size);
        at += point.size == 0 ? 1 : point.size;
    }
    return safe;
}

}  // namespace cvlan
