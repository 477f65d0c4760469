// SPDX-License-Identifier: Apache-2.0
#include "http/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace cvlan::http {
namespace {

constexpr std::array<uint8_t, 12> kSignature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                             0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr size_t kFixed = 16;      // of version 2, before the addresses
constexpr size_t kMostLine = 107;  // of version 1, with its CR LF
constexpr std::string_view kLineStart = "PROXY ";
constexpr uint8_t kTcp4 = 0x11;
constexpr uint8_t kTcp6 = 0x21;
constexpr uint8_t kNotTold = 0x00;
constexpr uint8_t kCrc32c = 0x03;

using Read = Result<std::optional<ProxyHeader>>;

uint16_t number_at(ByteView bytes, size_t at) {
    return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// RFC 3720 appendix B.4: reflected, polynomial 0x1EDC6F41. A bit at a time is fast enough for
// something that comes once a connection.
uint32_t crc32c_step(uint32_t crc, uint8_t byte) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    return crc;
}

// With the four bytes from `hole` on as zeros.
uint32_t crc32c(ByteView bytes, size_t hole) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < bytes.size(); ++i)
        crc = crc32c_step(crc, i >= hole && i < hole + 4 ? uint8_t{0} : bytes[i]);
    return ~crc;
}

Result<void> check_tlvs(ByteView header, size_t at) {
    while (at < header.size()) {
        if (header.size() - at < 3) return fail(Code::Malformed, "PROXY header: a TLV is cut off");
        const uint8_t type = header[at];
        const size_t size = number_at(header, at + 1);
        at += 3;
        if (size > header.size() - at)
            return fail(Code::Malformed, "PROXY header: a TLV is longer than what is left");
        if (type == kCrc32c) {
            const uint32_t said = size != 4 ? 0
                                            : static_cast<uint32_t>(number_at(header, at)) << 16 |
                                                  number_at(header, at + 2);
            if (size != 4 || said != crc32c(header, at))
                return fail(Code::Malformed, "PROXY header: its CRC32c is another");
        }
        at += size;
    }
    return {};
}

// As if it had connected by IPv4 where its IPv6 address stands for one: limits and logs know it by
// one address.
Result<Endpoint> client_of(ByteView address, uint16_t port) {
    auto read = Address::from_bytes(address);
    if (read && read->is_v4_mapped()) read = Address::from_bytes(address.subspan(12));
    if (!read) return failed(read.error());
    return Endpoint{*read, port};
}

Read read_binary(ByteView received) {
    const size_t known = std::min(received.size(), kSignature.size());
    if (!std::equal(kSignature.begin(), kSignature.begin() + known, received.begin()))
        return fail(Code::Malformed, "no PROXY header");
    if (received.size() < kFixed) return std::nullopt;
    const uint8_t command = received[12];
    if (command != 0x20 && command != 0x21)
        return fail(Code::Malformed, "PROXY header: version and command are 0x{:02x}", command);
    ProxyHeader header{kFixed + number_at(received, 14)};
    if (header.size > kMostProxyHeader)
        return fail(Code::Malformed, "PROXY header: of {} bytes", header.size);
    if (received.size() < header.size) return std::nullopt;
    const ByteView whole = received.first(header.size);
    // What LOCAL says of addresses means nothing, nor has it to be well-formed.
    if (command == 0x20) return header;

    const uint8_t family = whole[13];
    if (family == kNotTold) return header;
    if (family != kTcp4 && family != kTcp6)
        return fail(Code::Malformed, "PROXY header: family and transport 0x{:02x}", family);
    const size_t address = family == kTcp4 ? 4 : 16;
    const size_t end = kFixed + 2 * address + 4;
    if (whole.size() < end) return fail(Code::Malformed, "PROXY header: addresses are cut off");
    if (auto good = check_tlvs(whole, end); !good) return failed(good.error());
    auto client = client_of(whole.subspan(kFixed, address), number_at(whole, kFixed + 2 * address));
    if (!client) return failed(client.error());
    header.client = *client;
    return header;
}

Result<Endpoint> text_endpoint(std::string_view address, std::string_view port, bool is_v4) {
    const auto read = Address::parse(address);
    if (!read || read->is_v4() != is_v4)
        return fail(Code::Malformed, "PROXY header: an address is none of its family");
    uint16_t number = 0;
    const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), number);
    const bool has_leading_zero = port.size() > 1 && port.front() == '0';
    if (fault != std::errc() || end != port.data() + port.size() || has_leading_zero)
        return fail(Code::Malformed, "PROXY header: a port is none");
    return client_of(read->bytes(), number);
}

// `line` is without its CR LF and begins with kLineStart.
Result<std::optional<Endpoint>> client_in(std::string_view line) {
    std::array<std::string_view, 5> words{};  // protocol, source, destination, their ports
    size_t count = 0;
    std::string_view rest = line.substr(kLineStart.size());
    // Whatever follows UNKNOWN is to be ignored.
    if (rest == "UNKNOWN" || rest.starts_with("UNKNOWN ")) return std::nullopt;
    for (bool is_last = false; !is_last; ++count) {
        const size_t space = rest.find(' ');
        is_last = space == std::string_view::npos;
        if (count == words.size()) return fail(Code::Malformed, "PROXY header: too many words");
        words.at(count) = rest.substr(0, space);
        if (!is_last) rest.remove_prefix(space + 1);
    }
    const bool is_v4 = words[0] == "TCP4";
    if (count != words.size() || (!is_v4 && words[0] != "TCP6"))
        return fail(Code::Malformed, "PROXY header: not of TCP4, TCP6 or UNKNOWN");
    auto destination = text_endpoint(words[2], words[4], is_v4);
    if (!destination) return failed(destination.error());
    auto source = text_endpoint(words[1], words[3], is_v4);
    if (!source) return failed(source.error());
    return std::optional<Endpoint>(*source);
}

Read read_line(std::string_view received) {
    if (!received.starts_with(kLineStart.substr(0, received.size())))
        return fail(Code::Malformed, "no PROXY header");
    const size_t end = received.substr(0, kMostLine).find('\n');
    if (end == std::string_view::npos) {
        if (received.size() >= kMostLine)
            return fail(Code::Malformed, "PROXY header: a line of more than {} bytes", kMostLine);
        return std::nullopt;
    }
    if (end == 0 || received[end - 1] != '\r')
        return fail(Code::Malformed, "PROXY header: a line without CR LF");
    auto client = client_in(received.substr(0, end - 1));
    if (!client) return failed(client.error());
    return ProxyHeader{end + 1, *client};
}

}  // namespace

Result<std::optional<ProxyHeader>> read_proxy_header(ByteView received) {
    if (received.empty()) return std::nullopt;
    if (received.front() == static_cast<uint8_t>(kLineStart.front()))
        return read_line(as_text(received));
    return read_binary(received);
}

}  // namespace cvlan::http
