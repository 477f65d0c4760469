// SPDX-License-Identifier: Apache-2.0
#include "http/proxy_header.h"

#include <gtest/gtest.h>

namespace cvlan::http {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string bytes_of(std::string_view digits) { return std::string(as_text(*from_hex(digits))); }

// Version 2 with this command, family and rest, whose length it writes.
std::string binary(std::string_view command, std::string_view family, std::string_view rest) {
    const std::string after = bytes_of(rest);
    return kSignature + bytes_of(command) + bytes_of(family) +
           bytes_of(fmt::format("{:04x}", after.size())) + after;
}

const std::string kTcp4 = binary("21", "11",
                                 "c0000201"
                                 "c0000209"
                                 "9c40"
                                 "01bb");

std::string client_of(const std::string& received) {
    const auto read = read_proxy_header(as_bytes(received));
    if (!read) return "bad";
    if (!*read) return "more";
    return (*read)->client ? (*read)->client->text() : "none";
}

TEST(ProxyHeaderTest, BothVersionsAndFamiliesNameTheClient) {
    EXPECT_EQ(client_of(kTcp4), "192.0.2.1:40000");
    EXPECT_EQ(client_of("PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n"), "192.0.2.1:40000");
    const std::string v6 = "20010db8000000000000000000000001";
    EXPECT_EQ(client_of(binary("21", "21", v6 + v6 + "9c4001bb")), "[2001:db8::1]:40000");
    EXPECT_EQ(client_of("PROXY TCP6 2001:db8::1 2001:db8::9 40000 443\r\n"), "[2001:db8::1]:40000");
}

TEST(ProxyHeaderTest, AMappedAddressIsTheIpv4OneThatItStandsFor) {
    const std::string mapped = "00000000000000000000ffffc0000201";
    EXPECT_EQ(client_of(binary("21", "21", mapped + mapped + "9c4001bb")), "192.0.2.1:40000");
    EXPECT_EQ(client_of("PROXY TCP6 ::ffff:192.0.2.1 ::1 40000 443\r\n"), "192.0.2.1:40000");
}

TEST(ProxyHeaderTest, WhatIsNotToldIsTheBalancersOwn) {
    EXPECT_EQ(client_of(binary("20", "00", "")), "none");      // LOCAL
    EXPECT_EQ(client_of(binary("20", "11", "ffff")), "none");  // whatever it says
    EXPECT_EQ(client_of(binary("21", "00", "")), "none");      // PROXY, family not told
    EXPECT_EQ(client_of("PROXY UNKNOWN\r\n"), "none");
    EXPECT_EQ(client_of("PROXY UNKNOWN ffff::1 x 0 0\r\n"), "none");
}

TEST(ProxyHeaderTest, WhatFollowsItIsNotIts) {
    for (const std::string& header :
         {kTcp4, std::string("PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\r\n")}) {
        const auto read = read_proxy_header(as_bytes(header + "\x16\x03\x01 and more"));
        ASSERT_TRUE(read && *read);
        EXPECT_EQ((*read)->size, header.size());
        EXPECT_EQ((*read)->client->text(), "192.0.2.1:40000");
    }
}

TEST(ProxyHeaderTest, EachPartOfItIsWaitedFor) {
    for (const std::string& header : {kTcp4, std::string("PROXY UNKNOWN\r\n"),
                                      std::string("PROXY TCP4 1.1.1.1 1.1.1.2 1 2\r\n")})
        for (size_t size = 0; size < header.size(); ++size)
            EXPECT_EQ(client_of(header.substr(0, size)), "more") << size;
}

TEST(ProxyHeaderTest, TlvsAreSkippedAndTheChecksumIsHeldAgainstTheHeader) {
    const std::string addresses = "c0000201c00002099c4001bb";
    EXPECT_EQ(client_of(binary("21", "11", addresses + "04000100" + "e0000203ff")),
              "192.0.2.1:40000");
    EXPECT_EQ(client_of(binary("21", "11", addresses + "030004deadbeef")), "bad");
    EXPECT_EQ(client_of(binary("21", "11", addresses + "030002dead")), "bad");
    EXPECT_EQ(client_of(binary("21", "11", addresses + "04ff")), "bad");        // no length
    EXPECT_EQ(client_of(binary("21", "11", addresses + "040005ffff")), "bad");  // too long a one
}

TEST(ProxyHeaderTest, WhatIsNoneIsRefused) {
    EXPECT_EQ(client_of("\x16\x03\x01\x02"), "bad");  // a ClientHello
    EXPECT_EQ(client_of("GET / HTTP/1.1\r\n"), "bad");
    EXPECT_EQ(client_of("POST / HTTP/1.1\r\n"), "bad");
    EXPECT_EQ(client_of(binary("31", "11", "c0000201c00002099c4001bb")), "bad");  // version 3
    EXPECT_EQ(client_of(binary("22", "11", "c0000201c00002099c4001bb")), "bad");  // a command
    EXPECT_EQ(client_of(binary("21", "12", "c0000201c00002099c4001bb")), "bad");  // UDP
    EXPECT_EQ(client_of(binary("21", "31", std::string(432, '0'))), "bad");       // a unix socket
    EXPECT_EQ(client_of(binary("21", "11", "c0000201")), "bad");                  // cut off
    EXPECT_EQ(client_of(kSignature + bytes_of("2111ffff")), "bad");               // too large
}

TEST(ProxyHeaderTest, ALineThatIsNotExactIsRefused) {
    for (const char* line :
         {"PROXY TCP4 192.0.2.1 192.0.2.9 40000 443\n", "PROXY TCP4 192.0.2.1 192.0.2.9 40000\r\n",
          "PROXY TCP4 192.0.2.1 192.0.2.9 40000 443 \r\n", "PROXY TCP4 ::1 ::2 1 2\r\n",
          "PROXY TCP6 192.0.2.1 192.0.2.9 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n",
          "PROXY TCP4 192.0.2.1 192.0.2.9 040 443\r\n", "PROXY TCP4 192.0.2.1 192.0.2.9 -1 443\r\n",
          "PROXY TCP4 192.0.2.1  40000 443\r\n", "PROXY UDP4 192.0.2.1 192.0.2.9 1 2\r\n",
          "PROXY \r\n", "PROXY UNKNOWNS\r\n", "proxy TCP4 192.0.2.1 192.0.2.9 1 2\r\n"})
        EXPECT_EQ(client_of(line), "bad") << line;
    EXPECT_EQ(client_of("PROXY UNKNOWN " + std::string(200, 'x')), "bad");
}

}  // namespace
}  // namespace cvlan::http
