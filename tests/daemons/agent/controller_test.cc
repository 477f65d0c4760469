// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/controller.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "base/bytes.h"
#include "daemons/agent/session.h"

namespace cvlan::agent {
namespace {

TEST(Origin, ReadsNamesAddressesAndPorts) {
    EXPECT_EQ(*parse_origin("https://c.example:8443"), (Origin{"c.example", 8443}));
    EXPECT_EQ(*parse_origin("https://192.0.2.1"), (Origin{"192.0.2.1", 443}));
    EXPECT_EQ(*parse_origin("https://[2001:db8::1]:8443"), (Origin{"2001:db8::1", 8443}));
    EXPECT_EQ(*parse_origin("https://[2001:db8::1]/"), (Origin{"2001:db8::1", 443}));
}

TEST(Origin, RefusesWhatIsNone) {
    for (const char* url : {"", "http://c:1", "https://", "https://:1", "https://c:0",
                            "https://c:1x", "https://c:99999", "https://c/path", "https://a@c:1",
                            "https://[::1", "https://[::1]x", "https://c c:1", "https://c\n:1"})
        EXPECT_FALSE(parse_origin(url)) << url;
}

http::Response problem(int status, const std::string& code) {
    http::Response response;
    response.status = status;
    response.body = fmt::format(
        R"({{"type":"about:blank","title":"t","status":{},"code":"{}","detail":"why","requestId":"x"}})",
        status, code);
    return response;
}

TEST(Refusal, CarriesTheControllersOwnWords) {
    const Refusal refusal = refusal_of(problem(410, "TOKEN_SPENT"));
    EXPECT_EQ(refusal.status, 410);
    EXPECT_EQ(refusal.code, "TOKEN_SPENT");
    EXPECT_EQ(refusal.error.code, Code::Gone);
    EXPECT_EQ(refusal.error.message, "why");
}

TEST(Refusal, OfAnAnswerThatIsNoProblemSaysItsStatus) {
    http::Response response;
    response.status = 502;
    response.body = "<html>";
    EXPECT_EQ(refusal_of(response).error.message, "the controller answered 502");
    EXPECT_EQ(refusal_of(response).error.code, Code::Unavailable);
}

TEST(Refusal, OnlyTheControllersOwnCodesEndANode) {
    EXPECT_EQ(refused_of(refusal_of(problem(403, "NODE_REVOKED"))), Refused::Revoked);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "NODE_EXPIRED"))), Refused::Expired);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "CERTIFICATE_SUPERSEDED"))), Refused::No);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "NODE_DELETED"))), Refused::Deleted);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "CERTIFICATE_EXPIRED"))), Refused::No);
    EXPECT_EQ(refused_of(refusal_of(problem(403, "READ_ONLY"))), Refused::No);
    EXPECT_EQ(refused_of(refusal_of(problem(503, "NODE_REVOKED"))), Refused::No);
    EXPECT_EQ(refused_of(Refusal{}), Refused::No);
}

TEST(HttpDate, IsReadToTheSecondOrRefused) {
    EXPECT_EQ(rfc3339(*parse_http_date("Fri, 20 Nov 2026 21:04:05 GMT")),
              "2026-11-20T21:04:05.000Z");
    for (const char* text : {"", "Fri, 20 Nov 2026 21:04:05", "Fri, 20 Nov 2026 21:04:05 GMT ",
                             "2026-11-20T21:04:05Z"})
        EXPECT_FALSE(parse_http_date(text)) << text;
}

TEST(Backoff, GrowsToAMinuteAndSpreads) {
    Backoff one(1), other(2);
    int differing = 0;
    for (int i = 0; i < 200; ++i) {
        const auto a = one.next(), b = other.next();
        EXPECT_GE(a.count(), 500);
        EXPECT_LE(a.count(), 60'000);
        if (i < 2) {
            EXPECT_LE(a.count(), 2'000);
        }
        if (a != b) ++differing;
    }
    EXPECT_GT(differing, 190);
    one.reset();
    EXPECT_LE(one.next().count(), 1'000);
}

// F79: the controller was away for an hour, then 10,000 nodes find it again.
TEST(Backoff, NodesThatLostTheirControllerTogetherComeBackSpread) {
    constexpr int kNodes = 10'000;
    const std::chrono::milliseconds back = std::chrono::hours(1);
    std::map<int64_t, int> arrivals;  // by the second since the controller is back
    for (int n = 0; n < kNodes; ++n) {
        const Bytes hash = sha256(as_bytes(fmt::format("node {}", n)));  // as node.cc seeds it
        uint32_t seed = 0;
        std::memcpy(&seed, hash.data(), sizeof seed);
        Backoff backoff(seed);
        std::chrono::milliseconds at{0};  // all lost it in the same moment
        while (at < back) at += backoff.next();
        ++arrivals[(at - back) / std::chrono::seconds(1)];
    }
    EXPECT_LT(arrivals.rbegin()->first, 60);
    // A minute of 10,000 is 167 a second, the first seconds have about twice as many.
    for (const auto& [second, count] : arrivals) EXPECT_LT(count, 500) << second;
}

}  // namespace
}  // namespace cvlan::agent
