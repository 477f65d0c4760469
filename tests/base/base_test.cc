// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/secret.h"

namespace cvlan {
namespace {

using namespace std::chrono_literals;

RC_GTEST_PROP(Base64, RoundTrips, (const std::vector<uint8_t>& bytes)) {
    RC_ASSERT(*from_base64(base64(bytes)) == bytes);
    RC_ASSERT(*from_base64url(base64url(bytes)) == bytes);
    RC_ASSERT(*from_hex(hex(bytes)) == bytes);
}

TEST(Base64, RefusesWhatIsNotCanonical) {
    for (const char* bad :
         {"A", "AA", "AAA", "AB==", "AAB=", "A A=", "====", "AAAA=", "AA=A", "AA\n="})
        EXPECT_FALSE(from_base64(bad)) << bad;
    EXPECT_FALSE(from_base64url("AA=="));
    EXPECT_FALSE(from_hex("0"));
    EXPECT_FALSE(from_hex("0G"));
}

TEST(Base32, NamesDevices) { EXPECT_EQ(base32_lower(as_bytes("foobar")), "mzxw6ytboi"); }

TEST(Uuid, IsVersionSevenOfThatMoment) {
    const std::string id = new_uuid(0x0123456789AB);
    EXPECT_TRUE(is_uuid(id));
    EXPECT_EQ(id.substr(0, 15), "01234567-89ab-7");
    EXPECT_NE(id, new_uuid(0x0123456789AB));
    EXPECT_FALSE(is_uuid("01234567-89AB-7000-8000-000000000000"));
    EXPECT_FALSE(is_uuid("../../etc/passwd"));
}

TEST(Utf8, RefusesOverlongSurrogateAndCut) {
    EXPECT_TRUE(is_utf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80"));
    for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3", "\xFF", "\x80"})
        EXPECT_FALSE(is_utf8(bad));
}

TEST(Printable, MakesControlAndBidiInert) {
    EXPECT_EQ(printable("a\x1B[31mb\nc"), "a?[31mb?c");
    EXPECT_EQ(printable("x\xE2\x80\xAEy"), "x?y");
    EXPECT_EQ(printable("\xC2\x9B"
                        "1m"),
              "?1m");
}

TEST(Address, ParsesAndShowsBothFamilies) {
    EXPECT_EQ(Address::parse("10.1.2.3")->text(), "10.1.2.3");
    EXPECT_EQ(Address::parse("2001:DB8::1")->text(), "2001:db8::1");
    for (const char* bad :
         {"", "10.1.2", "10.1.2.03.4", "10.1.2.256", "fe80::1%eth0", "1.2.3.4 ", "::g"})
        EXPECT_FALSE(Address::parse(bad)) << bad;
    EXPECT_FALSE(Address::parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Address, KnowsItsKinds) {
    const auto at = [](const char* text) { return *Address::parse(text); };
    EXPECT_TRUE(at("127.9.9.9").is_loopback() && at("::1").is_loopback() &&
                !at("::2").is_loopback());
    EXPECT_TRUE(at("169.254.1.1").is_link_local() && at("fe80::1").is_link_local());
    EXPECT_TRUE(at("224.0.0.1").is_multicast() && at("ff02::1").is_multicast());
    EXPECT_TRUE(at("100.64.0.1").is_private() && at("fd00::1").is_private() &&
                at("172.31.0.1").is_private());
    EXPECT_FALSE(at("8.8.8.8").is_private() || at("2001:db8::1").is_private());
    EXPECT_TRUE(at("::ffff:1.2.3.4").is_v4_mapped());
}

RC_GTEST_PROP(Address, PlusAndMinusCancel, (uint32_t start, int32_t offset)) {
    const uint8_t bytes[] = {static_cast<uint8_t>(start >> 24), static_cast<uint8_t>(start >> 16),
                             static_cast<uint8_t>(start >> 8), static_cast<uint8_t>(start)};
    const auto address = *Address::from_bytes(bytes);
    RC_ASSERT(address.plus(offset).plus(-static_cast<int64_t>(offset)) == address);
}

TEST(Prefix, RefusesHostBitsAndNamesThePrefix) {
    const auto prefix = Prefix::parse("10.1.2.3/24");
    ASSERT_FALSE(prefix);
    EXPECT_NE(prefix.error().message.find("10.1.2.0/24"), std::string::npos);
    for (const char* bad :
         {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "::/129", "/8"})
        EXPECT_FALSE(Prefix::parse(bad)) << bad;
}

TEST(Prefix, ContainsAndOverlaps) {
    const auto prefix = *Prefix::parse("10.1.0.0/16");
    EXPECT_TRUE(prefix.contains(*Address::parse("10.1.255.255")));
    EXPECT_FALSE(prefix.contains(*Address::parse("10.2.0.0")));
    EXPECT_FALSE(prefix.contains(*Address::parse("::1")));
    EXPECT_TRUE(prefix.overlaps(*Prefix::parse("10.1.2.0/24")));
    EXPECT_TRUE(prefix.overlaps(*Prefix::parse("10.0.0.0/8")));
    EXPECT_FALSE(prefix.overlaps(*Prefix::parse("10.2.0.0/16")));
    EXPECT_EQ(prefix.last().text(), "10.1.255.255");
    EXPECT_EQ(Prefix::parse("fd00::/64")->last().text(), "fd00::ffff:ffff:ffff:ffff");
}

TEST(Endpoint, IsAddressColonPortWithBracketsForV6) {
    EXPECT_EQ(Endpoint::parse("192.0.2.1:51820")->text(), "192.0.2.1:51820");
    EXPECT_EQ(Endpoint::parse("[2001:db8::1]:1")->text(), "[2001:db8::1]:1");
    for (const char* bad : {"1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "::1:80",
                            "[1.2.3.4]:80", "[::1]", "host:80"})
        EXPECT_FALSE(Endpoint::parse(bad)) << bad;
    sockaddr_storage storage;
    const auto endpoint = *Endpoint::parse("[2001:db8::1]:51820");
    const socklen_t size = endpoint.to_sockaddr(storage);
    EXPECT_EQ(*Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size), endpoint);
}

TEST(Rfc3339, RoundTripsAndRefusesTheRest) {
    const auto time = from_unix_ms(1'795'204'440'123);
    EXPECT_EQ(rfc3339(time), "2026-11-20T19:54:00.123Z");
    EXPECT_EQ(*from_rfc3339("2026-11-20T19:54:00.123Z"), time);
    EXPECT_EQ(*from_rfc3339("2026-11-20T19:54:00.1234567Z"), time);
    EXPECT_EQ(*from_rfc3339("2026-11-20T19:54:00Z"), time - 123ms);
    for (const char* bad :
         {"", "2026-11-20", "2026-13-20T19:54:00Z", "2026-02-30T19:54:00Z", "2026-11-20T24:00:00Z",
          "2026-11-20T19:54:00+01:00", "2026-11-20T19:54:00.Z", "2026-11-20T19:54:00"})
        EXPECT_FALSE(from_rfc3339(bad)) << bad;
}

// F40, F41: a disk that is full or fails may be well again.
TEST(ErrnoError, SaysOfADiskThatFailsToTryLater) {
    for (const int sys_errno : {ENOSPC, EDQUOT, EIO}) {
        const Error error = errno_error("write /state", sys_errno);
        EXPECT_EQ(error.code, Code::Unavailable) << error.message;
        EXPECT_EQ(error.sys_errno, sys_errno);
    }
}

TEST(HttpStatus, TellsWhatAClientCanDo) {
    EXPECT_EQ(code_of_http(400), Code::Invalid);
    EXPECT_EQ(code_of_http(403), Code::Denied);
    EXPECT_EQ(code_of_http(404), Code::NotFound);
    EXPECT_EQ(code_of_http(410), Code::Gone);
    EXPECT_EQ(code_of_http(412), Code::Conflict);
    EXPECT_EQ(code_of_http(500), Code::Internal);
    for (const int retry : {408, 429, 502, 503, 504})
        EXPECT_EQ(code_of_http(retry), Code::Unavailable) << retry;
}

TEST(Duration, HasOneUnit) {
    EXPECT_EQ(*parse_duration("90s"), 90s);
    EXPECT_EQ(*parse_duration("7d"), 168h);
    for (const char* bad : {"", "5", "h", "-1h", "1.5h", "1h30m", "99999999999d"})
        EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Log, OneLineThatNoValueCanForge) {
    EXPECT_EQ(log::format_line(log::Level::Info, "wg.peer_set", {{"dev", "cv0"}, {"n", 3}}),
              "level=info event=wg.peer_set dev=cv0 n=3");
    EXPECT_EQ(log::format_line(log::Level::Warn, "x", {{"name", "a b\nlevel=error"}}),
              "level=warn event=x name=\"a b?level=error\"");
}

TEST(Secret, IsWipedWhenMovedAndNeverPrinted) {
    std::array<uint8_t, 4> bytes{1, 2, 3, 4};
    Secret<4> first{std::span<const uint8_t, 4>(bytes)};
    const Secret<4> second = std::move(first);
    EXPECT_TRUE(first.empty());
    EXPECT_FALSE(second.empty());
    EXPECT_EQ(fmt::format("{} {}", second, SecretText("hunter2")), "*** ***");
}

TEST(EventLoop, RunsTimersPostsAndSurvivesACallbackThatEndsItself) {
    EventLoop loop;
    std::string order;
    Timer self = loop.after(0ms, [&] {
        order += "t";
        self.cancel();
        loop.post([&] {
            order += "p";
            loop.stop();
        });
    });
    loop.run();
    EXPECT_EQ(order, "tp");
}

}  // namespace
}  // namespace cvlan
