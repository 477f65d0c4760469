// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/identity.h"

#include <gtest/gtest.h>

#include "reconcile/marks.h"
#include "tests/daemons/agent/support.h"

namespace cvlan::agent {
namespace {

using namespace testing;

struct AgentStateTest : ::testing::Test {
    test::TempDir temp;
    StateDir dir = *StateDir::open(temp.file("state"));
};

TEST_F(AgentStateTest, GivesBackTheSameKeys) {
    auto saved = new_identity(kTenant);
    ASSERT_TRUE(keys_for(*saved, kNetwork));
    ASSERT_TRUE(dir.save_identity(*saved));
    auto loaded = dir.load_identities();
    ASSERT_TRUE(loaded) << loaded.error().message;
    ASSERT_EQ(loaded->size(), 1u);
    EXPECT_EQ((*loaded)[0].kept.tls_key, saved->kept.tls_key);
    EXPECT_EQ((*loaded)[0].network(kNetwork)->wireguard_key,
              saved->network(kNetwork)->wireguard_key);
}

TEST_F(AgentStateTest, KeysForANetworkAreMadeOnce) {
    auto identity = new_identity(kTenant);
    auto first = keys_for(*identity, kNetwork);
    const std::string key = (*first)->wireguard_key;
    EXPECT_EQ((*keys_for(*identity, kNetwork))->wireguard_key, key);
    EXPECT_NE((*keys_for(*identity, kOther))->wireguard_key, key);
}

TEST_F(AgentStateTest, WhatIsWantedSurvives) {
    state::AgentState agent;
    EXPECT_EQ(load_agent(dir)->wanted, state::Wanted::Up);
    agent.wanted = state::Wanted::Down;
    agent.slots = {{kNetwork, 7}};
    ASSERT_TRUE(save_agent(dir, agent));
    auto loaded = load_agent(dir);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->wanted, state::Wanted::Down);
    EXPECT_EQ(loaded->slots[0].index, 7);
}

TEST(Index, IsKeptAndTheLowestFreeOneIsGiven) {
    state::AgentState agent;
    EXPECT_EQ(*index_for(agent, kNetwork), 0u);
    EXPECT_EQ(*index_for(agent, kOther), 1u);
    EXPECT_EQ(*index_for(agent, kNetwork), 0u);
    EXPECT_EQ(*move_index(agent, kNetwork, {0, 2}), 3u);
    EXPECT_EQ(*index_for(agent, kNetwork), 3u);
}

TEST_F(AgentStateTest, HasRoomForAllIndexesAndNoMore) {
    state::AgentState agent;
    for (int i = 0; i < int{reconcile::kIndexes}; ++i) ASSERT_TRUE(index_for(agent, node_id(i)));
    auto one_more = index_for(agent, node_id(int{reconcile::kIndexes}));
    ASSERT_FALSE(one_more);
    EXPECT_EQ(one_more.error().code, Code::Unavailable);
    ASSERT_TRUE(save_agent(dir, agent));
    const auto kept = load_agent(dir);
    ASSERT_TRUE(kept) << kept.error().message;
    EXPECT_EQ(kept->slots.size(), size_t{reconcile::kIndexes});
}

TEST(Enrolment, TakesTheAnswerOfTheTokensController) {
    const Issuer issuer;
    const Identity identity = enrolled_node(issuer);
    EXPECT_TRUE(identity.is_enrolled());
    EXPECT_EQ(identity.node_id(), kNode);
    EXPECT_TRUE(identity.network(kNetwork)->joined.value_or(false));
    EXPECT_EQ(enrolee::certificate_times(identity)->not_after - kNow < std::chrono::hours(24 * 31),
              true);
}

// F22: the controller refuses a request whose CN is of another token or key.
TEST(Enrolment, ItsCertificateRequestIsForItsTokenAndItsWireGuardKeyAlone) {
    const Issuer issuer;
    auto identity = new_identity(kTenant);
    const std::string text = issuer.token("https://c:1");
    const auto claims = pki::parse_token(text)->claims;
    ASSERT_TRUE(prepare(*identity, claims, false));
    const auto request = enrol_request(*identity, kNetwork, {text, {}, {}, {}});
    ASSERT_TRUE(request) << request.error().message;
    const auto csr = pki::Csr::parse(request->csr);
    EXPECT_EQ(csr->common_name(),
              pki::enrolment_binding(claims, *from_base64(*request->wireguard_public_key)));
    auto other = claims;
    other.nonce = Bytes(32, 8);
    EXPECT_NE(csr->common_name(),
              pki::enrolment_binding(other, *from_base64(*request->wireguard_public_key)));
    EXPECT_NE(csr->common_name(), pki::enrolment_binding(claims, Bytes(32, 9)));
    EXPECT_FALSE(enrol_request(*identity, kNetwork, {"nonsense", {}, {}, {}}));
}

}  // namespace
}  // namespace cvlan::agent
