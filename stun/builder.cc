// SPDX-License-Identifier: Apache-2.0
#include "stun/builder.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "stun/checksum.h"

namespace cvlan::stun {

namespace {

void write_u16(uint8_t* to, uint16_t value) {
    to[0] = static_cast<uint8_t>(value >> 8);
    to[1] = static_cast<uint8_t>(value);
}

void write_u32(uint8_t* to, uint32_t value) {
    write_u16(to, static_cast<uint16_t>(value >> 16));
    write_u16(to + 2, static_cast<uint16_t>(value));
}

void copy_to(uint8_t* to, ByteView bytes) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
}

}  // namespace

Builder::Builder(std::span<uint8_t> buffer, Class c, Method method,
                 const TransactionId& transaction)
    : buffer_(buffer) {
    is_too_small_ = buffer.size() < kHeaderSize;
    if (is_too_small_) return;
    write_u16(buffer.data(), type_of(c, method));
    write_u16(buffer.data() + 2, 0);
    write_u32(buffer.data() + 4, kMagicCookie);
    copy_to(buffer.data() + 8, transaction);
    size_ = kHeaderSize;
}

uint8_t* Builder::add(Type type, size_t size) {
    assert(!is_ended_ && (!is_sealed_ || type == Type::Fingerprint));
    const size_t padded = (size + 3) & ~size_t{3};
    is_too_small_ = is_too_small_ || buffer_.size() - size_ < 4 + padded ||
                    size_ - kHeaderSize + 4 + padded > UINT16_MAX;
    if (is_too_small_) return nullptr;
    uint8_t* const head = buffer_.data() + size_;
    write_u16(head, static_cast<uint16_t>(type));
    write_u16(head + 2, static_cast<uint16_t>(size));
    std::memset(head + 4, 0, padded);
    size_ += 4 + padded;
    write_u16(buffer_.data() + 2, static_cast<uint16_t>(size_ - kHeaderSize));
    return head + 4;
}

void Builder::add_text(Type type, std::string_view text) {
    if (uint8_t* const to = add(type, text.size())) copy_to(to, as_bytes(text));
}

Builder& Builder::mapped(const Endpoint& endpoint) {
    const auto address = endpoint.address.bytes();
    uint8_t* const to = add(Type::XorMappedAddress, 4 + address.size());
    if (!to) return *this;
    const uint8_t* const mask = buffer_.data() + 4;
    to[1] = endpoint.address.is_v4() ? 1 : 2;
    write_u16(to + 2, static_cast<uint16_t>(endpoint.port ^ (kMagicCookie >> 16)));
    for (size_t i = 0; i < address.size(); ++i)
        to[4 + i] = static_cast<uint8_t>(address[i] ^ mask[i]);
    return *this;
}

Builder& Builder::username(std::string_view name) {
    assert(name.size() < 509);
    add_text(Type::Username, name);
    return *this;
}

Builder& Builder::nonce(std::string_view nonce) {
    assert(nonce.size() < 764);
    add_text(Type::Nonce, nonce);
    return *this;
}

Builder& Builder::software(std::string_view name) {
    add_text(Type::Software, name);
    return *this;
}

Builder& Builder::error(const ErrorCode& error) {
    assert(error.code >= 300 && error.code < 700);
    if (uint8_t* const to = add(Type::ErrorCode, 4 + error.reason.size())) {
        to[2] = static_cast<uint8_t>(error.code / 100);
        to[3] = static_cast<uint8_t>(error.code % 100);
        copy_to(to + 4, as_bytes(error.reason));
    }
    return *this;
}

Builder& Builder::refused(std::span<const uint16_t> types) {
    uint8_t* to = add(Type::UnknownAttributes, 2 * types.size());
    if (!to) return *this;
    for (const uint16_t type : types) {
        write_u16(to, type);
        to += 2;
    }
    return *this;
}

Builder& Builder::other(uint16_t type, ByteView value) {
    assert(type >= 0x8000);
    if (uint8_t* const to = add(static_cast<Type>(type), value.size())) copy_to(to, value);
    return *this;
}

Builder& Builder::integrity(ByteView key) {
    assert(!key.empty());
    const size_t at = size_;
    uint8_t* const to = add(Type::MessageIntegritySha256, kSha256Size);
    is_sealed_ = true;
    if (to) copy_to(to, integrity_sha256(buffer_.first(size_), at, kSha256Size, key));
    return *this;
}

Builder& Builder::fingerprint() {
    const size_t at = size_;
    uint8_t* const to = add(Type::Fingerprint, 4);
    is_ended_ = true;
    if (to) write_u32(to, stun::fingerprint(buffer_.first(at)));
    return *this;
}

Result<ByteView> Builder::finish() const {
    if (is_too_small_) return fail(Code::TooLarge, "stun: more than {} bytes", buffer_.size());
    return ByteView(buffer_.data(), size_);
}

ByteView binding_request(std::span<uint8_t> buffer, const TransactionId& transaction) {
    static_assert(kBindingRequestSize >= kMostBindingAnswer);
    // 24 bytes of a name that is there for its length.
    return Builder(buffer, Class::Request, Method::Binding, transaction)
        .software("CloudVLAN               ")
        .fingerprint()
        .finish()
        .value();
}

}  // namespace cvlan::stun
