// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/identity.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/daemons/agent/support.h"

namespace cvlan::agent {
namespace {

using namespace testing;

void spoil(const std::string& path, std::string_view content) {
    std::ofstream(path, std::ios::trunc | std::ios::binary) << content;
}

struct StateDirTest : ::testing::Test {
    test::TempDir temp;
    StateDir dir = *StateDir::open(temp.file("state"));
    std::string path = dir.folder_of(kTenant) + "/identity.json";

    Identity save_one() {
        auto identity = new_identity(kTenant);
        EXPECT_TRUE(keys_for(*identity, kNetwork));
        EXPECT_TRUE(dir.save_identity(*identity));
        return std::move(*identity);
    }
};

TEST_F(StateDirTest, GivesBackTheSameKeys) {
    const Identity saved = save_one();
    auto loaded = dir.load_identities();
    ASSERT_TRUE(loaded) << loaded.error().message;
    ASSERT_EQ(loaded->size(), 1u);
    EXPECT_EQ((*loaded)[0].kept.tls_key, saved.kept.tls_key);
    EXPECT_EQ((*loaded)[0].network(kNetwork)->wireguard_key,
              saved.network(kNetwork)->wireguard_key);
}

TEST_F(StateDirTest, NobodyElseCanReadIt) {
    save_one();
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_EQ(stat(temp.file("state").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(StateDirTest, KeysForANetworkAreMadeOnce) {
    auto identity = new_identity(kTenant);
    auto first = keys_for(*identity, kNetwork);
    const std::string key = (*first)->wireguard_key;
    EXPECT_EQ((*keys_for(*identity, kNetwork))->wireguard_key, key);
    EXPECT_NE((*keys_for(*identity, kOther))->wireguard_key, key);
}

TEST_F(StateDirTest, EveryDamageGivesThePreviousGenerationAndKeepsTheBadFile) {
    Identity identity = save_one();
    std::string good;
    {
        std::ifstream file(path);
        good.assign(std::istreambuf_iterator<char>(file), {});
    }
    std::string flipped = good;
    flipped[flipped.size() / 2] ^= 1;
    for (const std::string& damage :
         {std::string(), std::string(good.size(), '\0'), good.substr(0, good.size() / 2),
          "wrong-magic" + good, flipped}) {
        ASSERT_TRUE(dir.save_identity(identity));
        ASSERT_TRUE(dir.save_identity(identity));
        spoil(path, damage);
        auto loaded = dir.load_identities();
        ASSERT_TRUE(loaded) << loaded.error().message;
        ASSERT_EQ(loaded->size(), 1u);
        EXPECT_TRUE((*loaded)[0].used_previous);
        EXPECT_EQ((*loaded)[0].kept.tls_key, identity.kept.tls_key);
        EXPECT_TRUE(std::filesystem::exists(path + ".bad"));
    }
}

TEST_F(StateDirTest, BothGenerationsDamagedIsARefusalAndNothingIsMadeAnew) {
    const Identity identity = save_one();
    ASSERT_TRUE(dir.save_identity(identity));
    spoil(path, "");
    spoil(path + ".prev", "");
    auto loaded = dir.load_identities();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Malformed);
    EXPECT_NE(loaded.error().message.find(kTenant), std::string::npos) << loaded.error().message;
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(StateDirTest, AnOnlyGenerationDamagedIsARefusalToo) {
    save_one();
    spoil(path, "");
    EXPECT_FALSE(dir.load_identities());
}

TEST_F(StateDirTest, AFormatOfTheFutureIsRefusedAndUntouched) {
    save_one();
    spoil(path, "cvlan-state 99 00\n{}");
    auto loaded = dir.load_identities();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Unsupported);
    EXPECT_FALSE(std::filesystem::exists(path + ".bad"));
}

TEST_F(StateDirTest, AnEmptyFolderOfACrashIsPassedOver) {
    std::filesystem::create_directory(dir.folder_of(kTenant));
    auto loaded = dir.load_identities();
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->empty());
}

TEST_F(StateDirTest, ACopiedIdentityOfAnotherTenantIsRefused) {
    save_one();
    std::filesystem::rename(dir.folder_of(kTenant), dir.folder_of(kOther));
    EXPECT_FALSE(dir.load_identities());
}

TEST_F(StateDirTest, ATenantIdThatIsAPathIsRefused) {
    EXPECT_FALSE(new_identity("../../etc"));
    EXPECT_FALSE(dir.remove_identity(".."));
}

TEST_F(StateDirTest, AFolderThatOthersCanOpenIsRefused) {
    for (const mode_t mode : {0777, 0750, 0701}) {
        ASSERT_EQ(chmod(temp.file("state").c_str(), mode), 0);
        auto opened = StateDir::open(temp.file("state"));
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, Code::Denied);
        EXPECT_NE(opened.error().message.find(fmt::format("(mode {:o})", mode)), std::string::npos)
            << opened.error().message;
    }
}

TEST_F(StateDirTest, AnIdentityThatOthersCanReadIsRefusedByNameAndMode) {
    save_one();
    ASSERT_EQ(chmod(path.c_str(), 0644), 0);
    auto loaded = dir.load_identities();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Denied);
    EXPECT_NE(loaded.error().message.find(path + ": others can read it (mode 644)"),
              std::string::npos)
        << loaded.error().message;
}

TEST_F(StateDirTest, ASecondAgentOnTheSameFolderIsRefusedUntilTheFirstHasEnded) {
    {
        const StateDir moved = std::move(dir);
        auto second = StateDir::open(temp.file("state"));
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Code::Conflict);
        EXPECT_EQ(second.error().message, "another cvlan-agent is using " + temp.file("state"));
    }
    EXPECT_TRUE(StateDir::open(temp.file("state")));
}

TEST_F(StateDirTest, ALinkInThePlaceOfTheFolderIsRefused) {
    std::filesystem::create_directory_symlink(temp.file("state"), temp.file("link"));
    EXPECT_FALSE(StateDir::open(temp.file("link")));
}

TEST_F(StateDirTest, RemovesAnIdentityWhole) {
    save_one();
    ASSERT_TRUE(dir.remove_identity(kTenant));
    EXPECT_FALSE(std::filesystem::exists(dir.folder_of(kTenant)));
}

TEST_F(StateDirTest, ARemovalThatFailsSaysSoAndCanBeAskedForAgain) {
    save_one();
    {
        const Frozen frozen(temp.file("state"));
        EXPECT_FALSE(dir.remove_identity(kTenant));
    }
    EXPECT_EQ(dir.load_identities()->size(), 1u);
    EXPECT_TRUE(dir.remove_identity(kTenant));
    EXPECT_TRUE(dir.remove_identity(kTenant));
}

TEST_F(StateDirTest, WhatACrashLeftOfARemovalIsNoIdentityAndGoesAtTheNextStart) {
    save_one();
    const std::string left = temp.file("state/.gone-" + kTenant);
    std::filesystem::rename(dir.folder_of(kTenant), left);
    EXPECT_TRUE(dir.load_identities()->empty());
    { const StateDir ended = std::move(dir); }
    dir = *StateDir::open(temp.file("state"));
    EXPECT_FALSE(std::filesystem::exists(left));
}

TEST_F(StateDirTest, WhatIsWantedSurvives) {
    state::AgentState agent;
    EXPECT_EQ(dir.load_agent()->wanted, state::Wanted::Up);
    agent.wanted = state::Wanted::Down;
    agent.slots = {{kNetwork, 7}};
    ASSERT_TRUE(dir.save_agent(agent));
    auto loaded = dir.load_agent();
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

TEST(Index, TheHundredAndFirstNetworkIsRefused) {
    state::AgentState agent;
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(index_for(agent, node_id(i)));
    auto one_more = index_for(agent, kNetwork);
    ASSERT_FALSE(one_more);
    EXPECT_EQ(one_more.error().code, Code::Unavailable);
}

TEST(Enrolment, TakesTheAnswerOfTheTokensController) {
    const Issuer issuer;
    const Identity identity = enrolled_identity(issuer);
    EXPECT_TRUE(identity.is_enrolled());
    EXPECT_EQ(identity.node_id(), kNode);
    EXPECT_TRUE(identity.network(kNetwork)->joined.value_or(false));
    EXPECT_EQ(certificate_times(identity)->not_after - kNow < std::chrono::hours(24 * 31), true);
}

TEST(Enrolment, RefusesAnAnswerThatIsNotForItself) {
    const Issuer issuer, stranger;
    auto identity = new_identity(kTenant);
    const auto token = pki::parse_token(issuer.token("https://c:1"));
    ASSERT_TRUE(prepare(*identity, token->claims, false));
    const auto request =
        enrol_request(*identity, kNetwork, {issuer.token("https://c:1"), {}, {}, {}});
    const auto good = issuer.enrol(request->csr, "https://c:1");

    auto answer = good;
    answer.tenant_id = kOther;
    EXPECT_FALSE(accept(*identity, answer));
    answer = good;
    answer.name = "evil\x1b[2J";
    EXPECT_FALSE(accept(*identity, answer));
    answer = good;
    answer.node_id = kOther;
    EXPECT_FALSE(accept(*identity, answer));
    EXPECT_FALSE(accept(*identity, stranger.enrol(request->csr, "https://c:1")));
    answer = good;
    answer.trust_bundle = stranger.authority.trust_bundle();
    EXPECT_FALSE(accept(*identity, answer));
    const auto other_key = pki::create_csr(*pki::TlsKey::generate());
    EXPECT_FALSE(accept(*identity, issuer.enrol(*other_key, "https://c:1")));
    answer = good;
    answer.map_keys.clear();
    EXPECT_FALSE(accept(*identity, answer));
    EXPECT_FALSE(identity->is_enrolled());
    EXPECT_TRUE(accept(*identity, good));
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

TEST(Renewal, IsDueAtTwoThirdsOfTheLife) {
    const CertificateTimes times{kNow, kNow + std::chrono::hours(30)};
    EXPECT_FALSE(is_renewal_due(times, kNow + std::chrono::hours(19)));
    EXPECT_TRUE(is_renewal_due(times, kNow + std::chrono::hours(20)));
}

TEST(Renewal, PutsTheFreshKeyInThePlaceOfTheOldOne) {
    const Issuer issuer;
    Identity identity = enrolled_identity(issuer);
    const std::string old_key = identity.kept.tls_key;
    const auto key = pki::TlsKey::generate();
    identity.kept.next_tls_key = key->to_pem()->reveal();
    const auto answer = issuer.enrol(*pki::create_csr(*key), "https://c:1");
    ASSERT_TRUE(
        accept_renewal(identity, {answer.certificate, answer.trust_bundle, answer.map_keys}));
    EXPECT_NE(identity.kept.tls_key, old_key);
    EXPECT_FALSE(identity.kept.next_tls_key);
}

}  // namespace
}  // namespace cvlan::agent
