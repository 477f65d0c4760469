// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace cvlan {

namespace {

Result<uint32_t> parse_number(std::string_view text, uint32_t highest) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool leading_zero = text.size() > 1 && text[0] == '0';
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || leading_zero ||
        value > highest)
        return fail(Code::Invalid, "'{}' is no number from 0 to {}", text, highest);
    return value;
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
    // inet_pton wants a terminated string, and an embedded NUL would end it early.
    const std::string copy(text);
    Address address;
    if (text.find('\0') == std::string_view::npos) {
        if (inet_pton(AF_INET, copy.c_str(), address.bytes_.data()) == 1) return address;
        address.family_ = Family::V6;
        if (inet_pton(AF_INET6, copy.c_str(), address.bytes_.data()) == 1) return address;
    }
    return fail(Code::Invalid, "'{}' is no IP address", text.substr(0, 64));
}

Result<Address> Address::from_bytes(std::span<const uint8_t> bytes) {
    Address address;
    if (bytes.size() != 4 && bytes.size() != 16)
        return fail(Code::Malformed, "an address of {} bytes", bytes.size());
    address.family_ = bytes.size() == 4 ? Family::V4 : Family::V6;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

std::string Address::text() const {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(af(), bytes_.data(), text, sizeof text);
    return text;
}

bool Address::is_unspecified() const {
    return std::all_of(bytes_.begin(), bytes_.end(), [](uint8_t byte) { return byte == 0; });
}

bool Address::is_loopback() const {
    if (is_v4()) return bytes_[0] == 127;
    return bytes_[15] == 1 && plus(-1).is_unspecified();
}

bool Address::is_link_local() const {
    if (is_v4()) return bytes_[0] == 169 && bytes_[1] == 254;
    return bytes_[0] == 0xFE && (bytes_[1] & 0xC0) == 0x80;
}

bool Address::is_multicast() const {
    return is_v4() ? (bytes_[0] & 0xF0) == 0xE0 : bytes_[0] == 0xFF;
}

bool Address::is_private() const {
    if (!is_v4()) return (bytes_[0] & 0xFE) == 0xFC;
    const bool cgnat = bytes_[0] == 100 && (bytes_[1] & 0xC0) == 64;
    return bytes_[0] == 10 || (bytes_[0] == 172 && (bytes_[1] & 0xF0) == 16) ||
           (bytes_[0] == 192 && bytes_[1] == 168) || cgnat;
}

bool Address::is_v4_mapped() const {
    constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    return !is_v4() && std::equal(kMapped.begin(), kMapped.end(), bytes_.begin());
}

Address Address::plus(int64_t offset) const {
    Address sum = *this;
    int64_t carry = offset;
    for (size_t i = bytes().size(); i-- > 0;) {
        const int64_t digit = sum.bytes_[i] + (carry & 0xFF);
        sum.bytes_[i] = static_cast<uint8_t>(digit);
        carry = (carry >> 8) + (digit >> 8);
    }
    return sum;
}

Result<Prefix> Prefix::of(const Address& address, uint8_t length) {
    if (length > address.bits())
        return fail(Code::Invalid, "a prefix length of {} where {} is the most", length,
                    address.bits());
    if (length == address.bits()) return host(address);
    std::array<uint8_t, 16> masked{};
    const auto bytes = address.bytes();
    std::copy(bytes.begin(), bytes.end(), masked.begin());
    for (size_t bit = length; bit < address.bits(); ++bit)
        masked[bit / 8] = static_cast<uint8_t>(masked[bit / 8] & ~(0x80u >> (bit % 8)));
    Prefix prefix;
    prefix.address_ = *Address::from_bytes({masked.data(), bytes.size()});
    prefix.length_ = length;
    return prefix;
}

Prefix Prefix::host(const Address& address) {
    Prefix prefix;
    prefix.address_ = address;
    prefix.length_ = address.bits();
    return prefix;
}

Result<Prefix> Prefix::parse(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos)
        return fail(Code::Invalid, "'{}' is no prefix: it has no '/length'", text.substr(0, 64));
    auto address = Address::parse(text.substr(0, slash));
    if (!address) return failed(address.error());
    auto length = parse_number(text.substr(slash + 1), address->bits());
    if (!length) return failed(length.error().while_doing("prefix length"));
    auto prefix = of(*address, static_cast<uint8_t>(*length));
    if (prefix && prefix->address() != *address)
        return fail(Code::Invalid, "'{}' has host bits set: the prefix is {}", text,
                    prefix->text());
    return prefix;
}

bool Prefix::contains(const Address& address) const {
    if (address.family() != family()) return false;
    return of(address, length_)->address() == address_;
}

bool Prefix::overlaps(const Prefix& other) const {
    return contains(other.address_) || other.contains(address_);
}

Address Prefix::last() const {
    std::array<uint8_t, 16> filled{};
    const auto bytes = address_.bytes();
    std::copy(bytes.begin(), bytes.end(), filled.begin());
    for (size_t bit = length_; bit < address_.bits(); ++bit)
        filled[bit / 8] = static_cast<uint8_t>(filled[bit / 8] | (0x80u >> (bit % 8)));
    return *Address::from_bytes({filled.data(), bytes.size()});
}

std::string Prefix::text() const { return fmt::format("{}/{}", address_.text(), length_); }

Result<Endpoint> Endpoint::parse(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return fail(Code::Invalid, "'{}' is no endpoint: it has no ':port'", text.substr(0, 64));
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    auto address = Address::parse(host);
    if (!address) return failed(address.error());
    if (address->is_v4() == bracketed)
        return fail(Code::Invalid, "'{}' is no endpoint: write ADDR:PORT or [v6]:PORT", text);
    auto port = parse_number(text.substr(colon + 1), 65535);
    if (!port) return failed(port.error().while_doing("port"));
    return Endpoint{*address, static_cast<uint16_t>(*port)};
}

Result<Endpoint> Endpoint::from_sockaddr(const sockaddr* address, socklen_t size) {
    if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
        sockaddr_in v4;
        std::memcpy(&v4, address, sizeof v4);
        const auto* bytes = reinterpret_cast<const uint8_t*>(&v4.sin_addr);
        return Endpoint{*Address::from_bytes({bytes, 4}), ntohs(v4.sin_port)};
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
        sockaddr_in6 v6;
        std::memcpy(&v6, address, sizeof v6);
        const auto ip = *Address::from_bytes({v6.sin6_addr.s6_addr, 16});
        // A dual-stack listener shows its IPv4 clients in mapped form.
        const auto plain = ip.is_v4_mapped() ? *Address::from_bytes(ip.bytes().subspan(12)) : ip;
        return Endpoint{plain, ntohs(v6.sin6_port)};
    }
    return fail(Code::Malformed, "a socket address of family {}", address->sa_family);
}

std::string Endpoint::text() const {
    if (address.is_v4()) return fmt::format("{}:{}", address.text(), port);
    return fmt::format("[{}]:{}", address.text(), port);
}

socklen_t Endpoint::to_sockaddr(sockaddr_storage& storage) const {
    std::memset(&storage, 0, sizeof storage);
    if (address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
        std::memcpy(&storage, &v4, sizeof v4);
        return sizeof v4;
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
    std::memcpy(&storage, &v6, sizeof v6);
    return sizeof v6;
}

}  // namespace cvlan
