// SPDX-License-Identifier: Apache-2.0
#pragma once

// A STUN message as it came (RFC 8489), and what it says. Pure: bytes in, values out, from any
// thread; reading allocates nothing unless it fails. builder.h writes one.
//
// The text in a Message is that of the datagram, which must outlive it and stay unchanged.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace cvlan::stun {

inline constexpr uint32_t kMagicCookie = 0x2112A442;
inline constexpr size_t kHeaderSize = 20;
inline constexpr uint16_t kPort = 3478;
inline constexpr size_t kSha1Size = 20;
inline constexpr size_t kSha256Size = 32;

enum class Class : uint8_t { Request = 0, Indication = 1, Success = 2, Error = 3 };

// Any value of 12 bits can come. Bind is ours (README.md): a node proves to its relay which mapped
// address is its own.
enum class Method : uint16_t { Binding = 0x001, Bind = 0x0CA };

// The first two bytes of a message (RFC 8489 section 5): the bits of the class stand between those
// of the method.
constexpr uint16_t type_of(Class c, Method method) {
    const auto m = static_cast<unsigned>(method);
    const auto k = static_cast<unsigned>(c);
    return static_cast<uint16_t>((m & 0xF) | (m & 0x70) << 1 | (m & 0xF80) << 2 | (k & 1) << 4 |
                                 (k & 2) << 7);
}

enum class Type : uint16_t {  // of an attribute; from 0x8000 on a reader may skip it
    MappedAddress = 0x0001,
    Username = 0x0006,
    MessageIntegrity = 0x0008,
    ErrorCode = 0x0009,
    UnknownAttributes = 0x000A,
    Nonce = 0x0015,
    MessageIntegritySha256 = 0x001C,
    XorMappedAddress = 0x0020,
    Priority = 0x0024,  // RFC 8445: known, and of no use to us
    Software = 0x8022,
    Fingerprint = 0x8028,
};

using TransactionId = std::array<uint8_t, 12>;
TransactionId random_transaction();  // unpredictable: it is what proves an unsigned answer

// 420 Unknown Attribute needs their numbers. More than fit are left out.
class TypeList {
public:
    void add(uint16_t type) {
        if (size_ < types_.size()) types_[size_++] = type;
    }
    std::span<const uint16_t> types() const { return {types_.data(), size_}; }
    bool empty() const { return size_ == 0; }

private:
    std::array<uint16_t, 8> types_{};
    uint8_t size_ = 0;
};

struct ErrorCode {
    uint16_t code = 0;  // 300 to 699
    std::string_view reason{};
    bool operator==(const ErrorCode&) const = default;
};

class Message {
public:
    // Whether a datagram claims to be a message: a cookie, and a length that is its own. Cheap, for
    // sorting what comes; parse() says the same and more.
    static bool looks_like_one(ByteView datagram);

    // Attributes that we do not know are skipped and those that a reader must know are in
    // unknown(); of several of one type the first counts; what stands behind the integrity does not
    // (RFC 8489 sections 14.5, 14.6). A length or value that can not be, or a wrong fingerprint, is
    // Code::Malformed.
    static Result<Message> parse(ByteView datagram);

    Class message_class() const { return class_; }
    Method method() const { return method_; }
    bool is(Class c, Method method) const { return class_ == c && method_ == method; }
    const TransactionId& transaction() const { return transaction_; }

    // XOR-MAPPED-ADDRESS; where only MAPPED-ADDRESS is there (RFC 3489's servers), that.
    std::optional<Endpoint> mapped() const { return xor_mapped_ ? xor_mapped_ : mapped_; }
    std::optional<std::string_view> username() const { return username_; }
    std::optional<std::string_view> nonce() const { return nonce_; }
    std::optional<std::string_view> software() const { return software_; }  // not printable()
    const std::optional<ErrorCode>& error_code() const { return error_code_; }
    const TypeList& refused() const { return refused_; }  // UNKNOWN-ATTRIBUTES of an answer
    // Comprehension-required and not understood: a request is answered with 420, an answer is
    // taken as failed, an indication is dropped (RFC 8489 section 6.3).
    const TypeList& unknown() const { return unknown_; }
    bool has_fingerprint() const { return has_fingerprint_; }  // and it is right
    bool has_integrity() const { return sha256_at_ != 0; }

    // MESSAGE-INTEGRITY-SHA256 by this key, in constant time. False where there is none, where the
    // key is empty, or where fewer bytes than `least` were left of it (a usage may allow from 16).
    [[nodiscard]] bool is_authentic(ByteView key, size_t least = kSha256Size) const;
    // MESSAGE-INTEGRITY by HMAC-SHA1, as RFC 5389's clients write it. Nothing of ours trusts it.
    [[nodiscard]] bool is_authentic_sha1(ByteView key) const;

private:
    friend class Parser;

    Class class_ = Class::Request;
    Method method_ = Method::Binding;
    TransactionId transaction_{};
    std::optional<Endpoint> xor_mapped_, mapped_;
    std::optional<std::string_view> username_, nonce_, software_;
    std::optional<ErrorCode> error_code_;
    TypeList refused_, unknown_;
    bool has_fingerprint_ = false;
    ByteView datagram_{};
    size_t sha1_at_ = 0;  // where the attribute begins; 0: none, since the header is there
    size_t sha256_at_ = 0;
    size_t sha256_size_ = 0;
};

}  // namespace cvlan::stun
