// SPDX-License-Identifier: Apache-2.0
#pragma once

// The PROXY protocol's header, by which a load balancer that passes TCP through says whose
// connection it is (HAProxy, doc/proxy-protocol.txt). Pure. Version 2 is binary:
//
//     0  12  signature 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a
//    12   1  0x20 | command: 0 LOCAL (the balancer's own, a health check), 1 PROXY
//    13   1  family and transport: 0x11 TCP over IPv4, 0x21 over IPv6, 0x00 not told
//    14   2  length of what follows, big endian
//    16  12  source, destination (4 bytes each), source port, destination port; IPv6: 36 bytes
//         …  TLVs: type (1), length (2), value. Type 3 is the CRC32c of the header with its own
//            value as zeros; others are skipped
//
// Version 1, all that nginx's stream module can say, is one line of at most 107 bytes:
// "PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n", TCP6 likewise, or "PROXY UNKNOWN …\r\n".

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "base/ip.h"

namespace cvlan::http {

inline constexpr size_t kMostProxyHeader = 4096;  // bytes, with all TLVs

struct ProxyHeader {
    size_t size = 0;  // bytes that it takes; what follows is the client's
    // Absent: the balancer speaks for itself, or does not know.
    std::optional<Endpoint> client{};
};

// Reads the header at the front of `received`; nullopt while its end has not come. Malformed: this
// is none, or has faults. Whatever comes after the header changes nothing.
Result<std::optional<ProxyHeader>> read_proxy_header(ByteView received);

}  // namespace cvlan::http
