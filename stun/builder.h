// SPDX-License-Identifier: Apache-2.0
#pragma once

// Writes one STUN message (RFC 8489) into the caller's buffer, which must outlive the builder.
// Allocates nothing. What does not fit is noticed by finish().
//
//   std::array<uint8_t, stun::kMostMessage> buffer;
//   const auto answer = stun::Builder(buffer, Class::Success, request.method(),
//                                     request.transaction())
//                           .mapped(source).integrity(key).fingerprint().finish();

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"
#include "stun/message.h"

namespace cvlan::stun {

// Passes every IPv4 path whole (RFC 8489 section 6.1: 576 less the headers).
inline constexpr size_t kMostMessage = 548;
// The largest answer to a Binding request without integrity: header, IPv6 address, fingerprint. Our
// requests are as large, since a relay sends no more than it got.
inline constexpr size_t kMostBindingAnswer = kHeaderSize + 24 + 8;

class Builder {
public:
    Builder(std::span<uint8_t> buffer, Class c, Method method, const TransactionId& transaction);

    Builder& mapped(const Endpoint& endpoint);  // XOR-MAPPED-ADDRESS
    Builder& username(std::string_view name);   // less than 509 bytes
    Builder& nonce(std::string_view nonce);     // less than 764 bytes
    Builder& software(std::string_view name);
    Builder& error(const ErrorCode& error);
    Builder& refused(std::span<const uint16_t> types);  // UNKNOWN-ATTRIBUTES, with 420
    // One that this codec does not know, from 0x8000 on: who does not either may skip it.
    Builder& other(uint16_t type, ByteView value);

    // MESSAGE-INTEGRITY-SHA256, whole. Only a fingerprint may follow it.
    Builder& integrity(ByteView key);
    // The last.
    Builder& fingerprint();

    // The message, in the caller's buffer; Code::TooLarge where that was too small.
    Result<ByteView> finish() const;

private:
    // The place of a value, zeroed together with its padding and counted in the header's length;
    // nullptr where it does not fit.
    uint8_t* add(Type type, size_t size);
    void add_text(Type type, std::string_view text);

    std::span<uint8_t> buffer_;
    size_t size_ = 0;
    bool is_too_small_ = false;
    bool is_sealed_ = false;  // integrity is there
    bool is_ended_ = false;   // fingerprint is there
};

// A Binding request for a server: with a fingerprint, and of at least kMostBindingAnswer bytes.
// `buffer` must have kBindingRequestSize bytes.
inline constexpr size_t kBindingRequestSize = kHeaderSize + 28 + 8;
ByteView binding_request(std::span<uint8_t> buffer, const TransactionId& transaction);

}  // namespace cvlan::stun
