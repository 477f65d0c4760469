// SPDX-License-Identifier: Apache-2.0
// What of a controller's answers is believed, and when a fresh certificate is asked for.
#include "enrolee/enrolment.h"

#include <gtest/gtest.h>

#include "enrolee/renewal.h"
#include "tests/enrolee/fake_controller.h"

namespace cvlan::enrolee {
namespace {

using namespace testing;

TEST(Enrolment, RefusesAnAnswerThatIsNotForItself) {
    const Issuer issuer, stranger;
    auto identity = new_identity(kTenant);
    const auto token = pki::parse_token(issuer.token("https://c:1"));
    ASSERT_TRUE(trust_token(*identity, token->claims));
    const auto request = enrol_request(*identity, issuer.token("https://c:1"), {}, {});
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
    answer = good;
    answer.session = {"http://plain"};
    EXPECT_FALSE(accept(*identity, answer));
    EXPECT_FALSE(identity->is_enrolled());
    EXPECT_TRUE(accept(*identity, good));
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

// A session, and a Renewal in it, of a node whose certificate is about to run out.
struct ARenewal : ::testing::Test {
    bool becomes(const std::function<bool()>& claim) { return until(loop, claim); }
    Renewal::Events events() {
        return {[this] {
                    ++saves;
                    return can_save ? Result<void>() : fail(Code::Internal, "disk full");
                },
                [this] { ++renewed; },
                [this](const Error& error) { failures.push_back(error.message); }};
    }
    std::unique_ptr<Session> open_session() {
        return std::make_unique<Session>(loop, Session::setup_of(identity), SessionEvents{});
    }

    EventLoop loop;
    FakeController controller{loop, ""};
    ManualClock clock{kNow + std::chrono::hours(24 * 29)};
    Identity identity = enrolled_identity(controller.issuer, controller.url());
    int saves = 0, renewed = 0;
    bool can_save = true;
    std::vector<std::string> failures;
    std::unique_ptr<Session> session = open_session();
    Renewal renewal{clock, identity, events()};
};

TEST_F(ARenewal, IsAskedForOnceAndLeavesAnotherKeyOnTheDisk) {
    const std::string before = identity.kept.tls_key;
    renewal.ask_if_due(*session);
    renewal.ask_if_due(*session);
    EXPECT_EQ(saves, 1);  // of the key, before it is told to anyone
    ASSERT_TRUE(becomes([&] { return renewed == 1; }));
    EXPECT_EQ(saves, 2);
    EXPECT_NE(identity.kept.tls_key, before);
    EXPECT_EQ(controller.requests, std::vector<std::string>{"POST /api/v1/node/certificate"});
}

TEST_F(ARenewal, WhoseAnswerCanNotBeSavedLeavesTheOldKeyInUse) {
    const std::string before = identity.kept.tls_key;
    renewal.ask_if_due(*session);
    can_save = false;
    ASSERT_TRUE(becomes([&] { return !failures.empty(); }));
    EXPECT_EQ(identity.kept.tls_key, before);
    EXPECT_TRUE(identity.kept.next_tls_key);
    EXPECT_EQ(renewed, 0);
}

TEST_F(ARenewal, WhoseSessionWentWithTheAnswerIsAskedForAgain) {
    renewal.ask_if_due(*session);
    const auto asked_for = identity.kept.next_tls_key;
    renewal.forget();
    clock.advance(std::chrono::minutes(31));
    session = open_session();
    renewal.ask_if_due(*session);
    EXPECT_EQ(identity.kept.next_tls_key, asked_for);
    ASSERT_TRUE(becomes([&] { return renewed == 1; }));
    EXPECT_EQ(identity.kept.tls_key, asked_for);
}

}  // namespace
}  // namespace cvlan::enrolee
