// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "model/local.h"
#include "model/objects.h"
#include "model/wire.h"

namespace cvlan::model {
namespace {

std::string why(std::string_view text) {
    const auto read = decode<wire::TokenCreate>(text);
    return read ? "" : read.error().message;
}
const std::string kIds =
    R"("tenantId":"00000000-0000-7000-8000-000000000001","networkId":"00000000-0000-7000-8000-000000000002")";

TEST(Decode, ReadsWhatTheDescriptionSays) {
    const auto token = decode<wire::TokenCreate>("{" + kIds + R"(,"uses":3,"role":"VROUTER"})");
    ASSERT_TRUE(token) << token.error().message;
    EXPECT_EQ(token->uses, 3);
    EXPECT_EQ(token->role, wire::TokenRole::Vrouter);
    EXPECT_FALSE(token->expires_in);
}

TEST(Decode, NamesTheFieldAndTheCause) {
    EXPECT_EQ(why("{}"), "/tenantId: is required");
    EXPECT_EQ(why("[]"), "document: must be an object");
    EXPECT_EQ(why("{" + kIds + R"(,"usse":3})"), "/usse: unknown field");
    EXPECT_EQ(why("{" + kIds + R"(,"uses":"3"})"), "/uses: out of range: must be a whole number");
    EXPECT_EQ(why("{" + kIds + R"(,"uses":0})"), "/uses: out of range: must be from 1 to 100000");
    EXPECT_EQ(why("{" + kIds + R"(,"uses":1.0})"), "/uses: out of range: must be a whole number");
    EXPECT_EQ(why("{" + kIds + R"(,"role":"ROOT"})"), "/role: must be one of NODE, VROUTER, RELAY");
    EXPECT_EQ(why(R"({"tenantId":"x","networkId":"y"})"), "/tenantId: must be a UUID");
    EXPECT_EQ(why("{" + kIds + R"(,"uses":null})"), "/uses: out of range: must be a whole number");
    const auto nested = decode<wire::EndpointReport>(
        R"({"networks":[{"networkId":"00000000-0000-7000-8000-000000000001","listenPort":65536,"endpoints":[]}]})");
    EXPECT_EQ(nested.error().pointer, "/networks/0/listenPort");
}

// F06 - F09, F11.
TEST(Decode, RefusesWhatAStrictReaderMust) {
    EXPECT_EQ(why("{" + kIds + R"(,"uses":1,"uses":2})"), "json: duplicate key uses");
    EXPECT_EQ(why(std::string(1'000'000, '[')), "json: deeper than 32 levels");
    EXPECT_EQ(why("[" + std::string(2'000'000, '0').replace(0, 0, "0") + "]").substr(0, 5),
              "json:");
    std::string wide = "[0";
    for (int i = 0; i < 200'000; ++i) wide += ",0";
    EXPECT_EQ(why(wide + "]"), "json: too many values");
    EXPECT_EQ(why("\xEF\xBB\xBF{}"), "json: offset 0: a byte order mark");
    EXPECT_EQ(why("{} x").substr(0, 14), "json: offset 4");
    EXPECT_EQ(why("{\"tenantId\":").substr(0, 13), "json: offset ");
    EXPECT_EQ(why("{" + kIds + R"(,"uses":-0})"), "json: -0 is out of range");
    EXPECT_EQ(why("{" + kIds + R"(,"uses":9223372036854775808})"),
              "json: a number is out of range");
    EXPECT_NE(why("{" + kIds + R"(,"uses":1e400})"), "");
    EXPECT_NE(why("{" + kIds + R"(,"uses":NaN})"), "");
    EXPECT_EQ(why("{\"a\\u0000\":1}"), "json: a NUL in a string");
    EXPECT_NE(why("{\"tenantId\":\"\xC0\x80\"}"), "");
    EXPECT_NE(why("{\"tenantId\":\"\\ud800\"}"), "");
    EXPECT_NE(why(std::string("{\0}", 3)), "");
}

TEST(Decode, ADocumentOfANewerProgramIsRead) {
    EXPECT_TRUE(decode<wire::Health>(R"({"status":"ok","mood":"fine"})", kDocument));
    EXPECT_FALSE(decode<wire::Health>(R"({"status":"ok","mood":"fine"})"));
}

TEST(Encode, FollowsProto3sMapping) {
    wire::NodeMap map;
    map.epoch = 1;
    map.revision = 9007199254740993;
    map.fragments.push_back({"k", {1, 2}, {3}});
    EXPECT_EQ(encode(map), R"({"kind":"FULL","epoch":"1","revision":"9007199254740993",)"
                           R"("fragments":[{"kid":"k","payload":"AQI=","signature":"Aw=="}]})");
    const auto back = decode<wire::NodeMap>(encode(map));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->revision, map.revision);
    EXPECT_EQ(back->fragments[0].payload, (Bytes{1, 2}));
}

TEST(Encode, WritesNullWhereTheReaderExpectsTheFieldAlways) {
    local::StatusPeer peer;
    peer.name = "a";
    EXPECT_EQ(encode(peer), R"({"name":"a","id":"","addresses":[],"endpoint":null,"path":"NONE",)"
                            R"("lastHandshake":null,"rxBytes":"0","txBytes":"0"})");
}

// F12
TEST(CheckName, IsAnRfc1123Label) {
    EXPECT_TRUE(check_name("name", "a"));
    EXPECT_TRUE(check_name("name", "web-01"));
    for (const char* bad : {"", "-x", "x-", "Web", "a.b", "a_b", "../../etc", "a;reboot", "\"",
                            "a\nb", "%n", "\xF0\x9F\x98\x80", "x\xE2\x80\xAEy"})
        EXPECT_FALSE(check_name("name", bad)) << bad;
    EXPECT_TRUE(check_name("name", std::string(63, 'x')));
    EXPECT_FALSE(check_name("name", std::string(64, 'x')));
}

}  // namespace
}  // namespace cvlan::model
