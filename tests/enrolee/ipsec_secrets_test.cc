// SPDX-License-Identifier: Apache-2.0
#include "enrolee/ipsec_secrets.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "model/wire.h"

namespace cvlan::enrolee {
namespace {

constexpr const char* kOne = "00000000-0000-7000-8000-0000000000c1";

std::string body_with(const Bytes& secret) {
    model::wire::IpsecSecrets told;
    told.secrets.push_back({kOne, 3, secret});
    return encode(told);
}

struct Fetched {
    std::string asked;
    std::optional<Answer<std::vector<IpsecSecret>>> got;
};
Fetched fetch(Answer<http::Response> answer) {
    Fetched fetched;
    fetch_ipsec_secrets(
        [&](const Controller::Call& call, const Controller::Done& done) {
            fetched.asked = call.method + " " + call.target;
            done(std::move(answer));
        },
        [&](Answer<std::vector<IpsecSecret>> got) { fetched.got.emplace(std::move(got)); });
    return fetched;
}

// F99
TEST(IpsecSecrets, AreTheBytesThatWereGiven) {
    Bytes secret = random_bytes(256);
    secret[0] = secret[255] = 0;
    http::Response response{.status = 200};
    response.body = body_with(secret);
    const auto fetched = fetch(std::move(response));
    EXPECT_EQ(fetched.asked, "GET /api/v1/node/ipsec-secrets");
    ASSERT_TRUE(fetched.got && *fetched.got);
    const auto& all = **fetched.got;
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].connection_id, kOne);
    EXPECT_EQ(all[0].revision, 3);
    EXPECT_EQ(all[0].secret.reveal(), std::string(secret.begin(), secret.end()));
}

TEST(IpsecSecrets, LeaveNothingInTheAnswerAndTakeNoneThatCanNotBeOne) {
    std::string body = body_with(random_bytes(16));
    ASSERT_TRUE(read_ipsec_secrets(body));
    EXPECT_EQ(body.find_first_not_of('\0'), std::string::npos);
    for (const size_t size : {0, 15, 257}) {
        body = body_with(Bytes(size, 7));
        const auto none = read_ipsec_secrets(body);
        ASSERT_TRUE(none);
        EXPECT_TRUE(none->empty()) << size;
    }
}

TEST(IpsecSecrets, WhatCanNotBeReadIsARefusal) {
    http::Response response{.status = 200};
    response.body = "{";
    const auto unread = fetch(std::move(response));
    ASSERT_TRUE(unread.got && !*unread.got);
    EXPECT_EQ(unread.got->error().status, 200);
    const auto refused = fetch(tl::unexpected(Refusal{{Code::Denied, "no"}, 403, "NODE_REVOKED"}));
    ASSERT_TRUE(refused.got && !*refused.got);
    EXPECT_EQ(refused.got->error().code, "NODE_REVOKED");
}

}  // namespace
}  // namespace cvlan::enrolee
