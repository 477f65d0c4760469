// SPDX-License-Identifier: Apache-2.0
#include <set>
#include <thread>

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using std::chrono::days;
using std::chrono::hours;

class EnrolTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    model::Network office_ = network(acme_, "office", "10.100.0.0/24", "fd00:1::/64");

    model::Node node(const std::string& id) { return *store_->node(acme_, id); }
};

TEST_F(EnrolTest, GivesTheLowestAddresses) {
    const Enrolled first = enrolled(enrolment(token(office_), "Web.example.org"));
    EXPECT_TRUE(first.is_new);
    EXPECT_EQ(first.node.name, "web");
    EXPECT_EQ(first.node.state, model::NodeState::Active);
    EXPECT_EQ(first.membership.ipv4->text(), "10.100.0.1");
    EXPECT_EQ(first.membership.ipv6->text(), "fd00:1::1");
    EXPECT_EQ(first.network.name, "office");
    EXPECT_EQ(first.membership.revision, first.revision);
    EXPECT_EQ(first.node.revision, first.revision);
    const Enrolled second = enrolled(enrolment(token(office_), "web"));
    EXPECT_EQ(second.node.name, "web-2");
    EXPECT_EQ(second.membership.ipv4->text(), "10.100.0.2");
    EXPECT_EQ(store_->tenant(acme_)->revision, second.revision);
    EXPECT_EQ(events_.back().kind, EventKind::NodeEnrolled);
    EXPECT_EQ(events_.back().network_ids, std::vector{office_.id});
}

TEST_F(EnrolTest, LeavesOutEndpointsInsideTheOverlay) {
    const Endpoint outside = *Endpoint::parse("192.0.2.7:51820");
    const std::vector<Endpoint> told{*Endpoint::parse("10.100.0.9:51820"), outside,
                                     *Endpoint::parse("[fd00:1::9]:51820")};
    auto request = enrolment(token(office_));
    request.joining.endpoints = told;
    const Enrolled first = enrolled(request);
    EXPECT_EQ(first.membership.endpoints, std::vector{outside});
    request.joining.token = token(office_);  // it comes back
    EXPECT_EQ(enrolled(request).membership.endpoints, std::vector{outside});
    EXPECT_EQ(node(first.node.id).memberships.front().endpoints, std::vector{outside});
}

TEST_F(EnrolTest, TheTokenOfANetworkThatIsGoneIsRevoked) {
    const auto claims = token(office_);
    const auto other = network(acme_, "lab", "10.101.0.0/24");
    const Enrolled one = enrolled(enrolment(token(other)));
    ASSERT_TRUE(store_->delete_network({acme_, office_.id}));
    const auto refused = enrol(enrolment(claims));
    EXPECT_FAILS(refused, Code::Gone, "its network is gone");
    EXPECT_EQ(refused.error().reason, model::kTokenRevoked);
    EXPECT_FAILS(store_->join(one.node.id, enrolment(claims).joining), Code::Gone, "");
}

TEST_F(EnrolTest, MakesANameOfAnyHostName) {
    const std::pair<const char*, const char*> names[] = {
        {"", "node"}, {"---", "node-2"}, {"My Laptop!", "my-laptop"}, {"\xC3\xA9t\xC3\xA9", "t"}};
    for (const auto& [hostname, name] : names)
        EXPECT_EQ(enrolled(enrolment(token(office_), hostname)).node.name, name);
    EXPECT_EQ(enrolled(enrolment(token(office_), std::string(200, 'x'))).node.name,
              std::string(50, 'x'));
    std::set<std::string> same;
    for (int i = 0; i < 20; ++i)
        same.insert(enrolled(enrolment(token(office_), "localhost")).node.name);
    EXPECT_EQ(same.size(), 20u);
}

TEST_F(EnrolTest, RefusesANameThatIsTaken) {
    Enrolment request = enrolment(token(office_, 2));
    request.name = "gate";
    EXPECT_EQ(enrolled(request).node.name, "gate");
    Enrolment other = enrolment(request.joining.token);
    other.name = "gate";
    EXPECT_FAILS(enrol(other), Code::Exists, "'gate' is taken");
    other.name = "Gate";
    EXPECT_FAILS(enrol(other), Code::Invalid, "name");
    // Neither refusal cost a use of the token, an address or a revision.
    other.name = "gate-b";
    EXPECT_EQ(enrolled(other).membership.ipv4->text(), "10.100.0.2");
}

// F21, F22: each reason in its own words.
TEST_F(EnrolTest, SaysWhatIsWrongWithAToken) {
    const Enrolment request = enrolment(token(office_));
    enrolled(request);
    EXPECT_FAILS(enrol(enrolment(request.joining.token)), Code::Gone, "token is spent");

    const model::TokenClaims revoked = token(office_);
    ASSERT_TRUE(store_->revoke_token({acme_, revoked.id}));
    EXPECT_FAILS(enrol(enrolment(revoked)), Code::Gone, "token was revoked");

    const model::TokenClaims deleted = token(office_);
    ASSERT_TRUE(store_->delete_token({acme_, deleted.id}));
    EXPECT_FAILS(enrol(enrolment(deleted)), Code::Denied, "token is unknown");

    model::TokenClaims forged = token(office_);
    forged.nonce = random_bytes(32);
    EXPECT_FAILS(enrol(enrolment(forged)), Code::Denied, "token is unknown");
    model::TokenClaims elsewhere = token(office_);
    elsewhere.tenant_id = tenant("other");
    EXPECT_FAILS(enrol(enrolment(elsewhere)), Code::Gone, "its network is gone");

    const model::TokenClaims late = token(office_);
    clock_.advance(hours(24));
    EXPECT_FAILS(enrol(enrolment(late)), Code::Gone, "token has expired");
}

TEST_F(EnrolTest, SpendsNothingWhenTheCertificateFails) {
    const Enrolment request = enrolment(token(office_));
    const auto done = store_->enrol(request, [](const Key&) -> Result<CertificateRow> {
        return fail(Code::Unavailable, "no authority");
    });
    EXPECT_FAILS(done, Code::Unavailable, "no authority");
    EXPECT_TRUE(store_->nodes({.tenant = acme_})->items.empty());
    EXPECT_EQ(enrolled(request).membership.ipv4->text(), "10.100.0.1");
}

// F20: a token of one use, a hundred callers at once; several rounds.
TEST_F(EnrolTest, OneOfAHundredRacersWins) {
    for (int round = 0; round < 5; ++round) {
        const model::TokenClaims claims = token(office_);
        std::atomic<int> won = 0, gone = 0, started = 0;
        std::vector<std::thread> racers;
        for (int i = 0; i < 100; ++i)
            racers.emplace_back([&] {
                const Enrolment request = enrolment(claims);
                ++started;
                while (started < 100) std::this_thread::yield();
                const auto done = enrol(request);
                if (done) ++won;
                if (!done && done.error().code == Code::Gone) ++gone;
            });
        for (std::thread& racer : racers) racer.join();
        EXPECT_EQ(won, 1);
        EXPECT_EQ(gone, 99);
    }
    EXPECT_EQ(store_->nodes({.tenant = acme_})->items.size(), 5u);
    for (size_t i = 1; i < events_.size(); ++i)
        EXPECT_EQ(events_[i].revision, events_[i - 1].revision + 1);
}

TEST_F(EnrolTest, KeepsIdAndAddressOfANodeThatWasExpired) {
    Enrolment request = enrolment(token(office_));
    const Enrolled before = enrolled(request);
    EXPECT_EQ(store_->expire_node(key_of(before.node))->state, model::NodeState::Expired);
    EXPECT_TRUE(store_->map_inputs(acme_)->members.empty());

    // The spent token does not bring it back, a new one does.
    EXPECT_FAILS(enrol(request), Code::Gone, "token is spent");
    request.joining.token = token(office_);
    const Enrolled after = enrolled(request);
    EXPECT_FALSE(after.is_new);
    EXPECT_EQ(after.node.id, before.node.id);
    EXPECT_EQ(after.node.name, before.node.name);
    EXPECT_EQ(after.node.state, model::NodeState::Active);
    EXPECT_EQ(after.membership.ipv4, before.membership.ipv4);
    EXPECT_NE(after.node.certificate_serial, before.node.certificate_serial);
    EXPECT_EQ(after.node.previous_serial, "");
    EXPECT_EQ(store_->network(acme_, office_.id)->node_count, 1);
    EXPECT_EQ(store_->map_inputs(acme_)->members.size(), 1u);
}

TEST_F(EnrolTest, LetsANodeComeBackWithANewWireguardKeyAndName) {
    Enrolment request = enrolment(token(office_));
    const Enrolled before = enrolled(request);
    request.joining.token = token(office_);
    request.joining.wireguard_key = base64(random_bytes(32));
    request.name = "renamed";
    const Enrolled after = enrolled(request);
    EXPECT_EQ(after.node.id, before.node.id);
    EXPECT_EQ(after.node.name, "renamed");
    EXPECT_EQ(after.membership.wireguard_key, request.joining.wireguard_key);
    EXPECT_EQ(after.membership.ipv4, before.membership.ipv4);
    // It was active: what it had stays good until it uses what it got.
    EXPECT_EQ(after.node.previous_serial, before.node.certificate_serial);
}

// T23: the answer was lost, the agent asks again.
TEST_F(EnrolTest, ARepeatSpendsNothing) {
    const Enrolment request = enrolment(token(office_));
    const Enrolled first = enrolled(request);
    const Enrolled again = enrolled(request);
    EXPECT_EQ(again.node.id, first.node.id);
    EXPECT_EQ(store_->token(acme_, request.joining.token.id)->uses_left, 0);
    // Once the node was there, a repeat is a replay.
    ASSERT_TRUE(store_->touch_seen(key_of(first.node)));
    EXPECT_FAILS(enrol(request), Code::Gone, "token is spent");
}

TEST_F(EnrolTest, ARevokedNodesKeysAreBarredForGood) {
    const Enrolment request = enrolment(token(office_));
    const Enrolled revoked = enrolled(request);
    EXPECT_EQ(store_->revoke_node(key_of(revoked.node))->state, model::NodeState::Revoked);
    EXPECT_FAILS(store_->expire_node(key_of(revoked.node)), Code::Conflict, "revoked");
    EXPECT_TRUE(store_->map_inputs(acme_)->members.empty());

    Enrolment same_tls = enrolment(token(office_));
    same_tls.tls_key_hash = request.tls_key_hash;
    EXPECT_FAILS(enrol(same_tls), Code::Denied, "key is barred");
    Enrolment same_wireguard = enrolment(token(office_));
    same_wireguard.joining.wireguard_key = request.joining.wireguard_key;
    EXPECT_FAILS(enrol(same_wireguard), Code::Denied, "key is barred");
    // Not even once its row is gone, nor in another tenant.
    ASSERT_TRUE(store_->delete_node(key_of(revoked.node)));
    EXPECT_FAILS(enrol(same_tls), Code::Denied, "key is barred");
    const model::Network elsewhere = network(tenant("other"), "office", "10.100.0.0/24");
    same_wireguard.joining.token = token(elsewhere);
    EXPECT_FAILS(enrol(same_wireguard), Code::Denied, "key is barred");
}

// F24.
TEST_F(EnrolTest, AWireguardKeyInUseIsRefusedWithoutSayingWhose) {
    const model::Network elsewhere = network(tenant("other"), "secret-office", "10.100.0.0/24");
    Enrolment request = enrolment(token(elsewhere), "secret-node");
    enrolled(request);
    request.joining.token = token(office_);
    const auto done = enrol(request);
    EXPECT_FAILS(done, Code::Exists, "WireGuard key is already in use");
    EXPECT_EQ(done.error().message.find("secret"), std::string::npos);
}

TEST_F(EnrolTest, JoinsAFurtherNetwork) {
    const model::Network lab = network(acme_, "lab", "10.200.0.0/24");
    const Enrolled node_before = enrolled(enrolment(token(office_)));
    Joining joining{
        token(lab), base64(random_bytes(32)), 51821, {*Endpoint::parse("192.0.2.1:51821")}};
    const auto joined = store_->join(node_before.node.id, joining);
    ASSERT_TRUE(joined) << joined.error().message;
    EXPECT_TRUE(joined->is_new);
    EXPECT_EQ(joined->node.memberships.size(), 2u);
    EXPECT_EQ(joined->membership.ipv4->text(), "10.200.0.1");
    EXPECT_FALSE(joined->membership.ipv6);
    EXPECT_EQ(joined->membership.endpoints.size(), 1u);
    EXPECT_EQ(joined->network.id, lab.id);
    EXPECT_EQ(events_.back().kind, EventKind::NodeJoined);
    EXPECT_EQ(events_.back().network_ids, std::vector{lab.id});
    // A repeat spends nothing; another key for the same place spends a use.
    EXPECT_FALSE(store_->join(node_before.node.id, joining)->is_new);
    joining.wireguard_key = base64(random_bytes(32));
    EXPECT_FAILS(store_->join(node_before.node.id, joining), Code::Gone, "token is spent");
    joining.token = token(lab);
    EXPECT_EQ(store_->join(node_before.node.id, joining)->membership.wireguard_key,
              joining.wireguard_key);
    EXPECT_EQ(store_->network(acme_, lab.id)->node_count, 1);
}

TEST_F(EnrolTest, OnlyAnActiveNodeOfTheTenantJoins) {
    const Enrolled enrolled_node = enrolled(enrolment(token(office_)));
    const model::Network elsewhere = network(tenant("other"), "office", "10.100.0.0/24");
    const Joining foreign{token(elsewhere), base64(random_bytes(32)), 0, {}};
    EXPECT_FAILS(store_->join(enrolled_node.node.id, foreign), Code::NotFound, "node");
    const model::Network lab = network(acme_, "lab", "10.200.0.0/24");
    ASSERT_TRUE(store_->expire_node(key_of(enrolled_node.node)));
    const Joining own{token(lab), base64(random_bytes(32)), 0, {}};
    EXPECT_FAILS(store_->join(enrolled_node.node.id, own), Code::Denied, "enrol again");
    EXPECT_EQ(store_->token(acme_, own.token.id)->uses_left, 1);
}

TEST_F(EnrolTest, RenewsACertificateUntilTheNewOneIsUsed) {
    const Enrolled first = enrolled(enrolment(token(office_)));
    const Key key = key_of(first.node);
    const std::string old_serial = first.node.certificate_serial;
    const auto renewal = [&](const std::string& used, const std::string& serial) {
        return Renewal{used, hex(random_bytes(32)), {serial, clock_.now() + days(30)}};
    };
    auto renewed = store_->renew_certificate(key, renewal(old_serial, "02"));
    ASSERT_TRUE(renewed) << renewed.error().message;
    EXPECT_EQ(renewed->certificate_serial, "02");
    EXPECT_EQ(renewed->previous_serial, old_serial);
    EXPECT_GT(renewed->revision, first.node.revision);

    // The answer was lost: it comes again with the old one, which goes on being good.
    renewed = store_->renew_certificate(key, renewal(old_serial, "03"));
    ASSERT_TRUE(renewed);
    EXPECT_EQ(renewed->previous_serial, old_serial);
    EXPECT_EQ(renewed->previous_tls_key_hash, first.node.tls_key_hash);
    EXPECT_FAILS(store_->renew_certificate(key, renewal("02", "04")), Code::Denied, "not valid");

    const size_t events = events_.size();
    ASSERT_TRUE(store_->confirm_certificate(key, old_serial));
    EXPECT_EQ(node(key.id).previous_serial, old_serial);
    ASSERT_TRUE(store_->confirm_certificate(key, "03"));
    ASSERT_TRUE(store_->confirm_certificate(key, "03"));
    EXPECT_EQ(node(key.id).previous_serial, "");
    EXPECT_EQ(events_.size(), events + 1);
    EXPECT_FAILS(store_->renew_certificate(key, renewal(old_serial, "05")), Code::Denied,
                 "not valid");
    EXPECT_FAILS(store_->renew_certificate(key, renewal("", "05")), Code::Denied, "not valid");
}

TEST_F(EnrolTest, ComesBackWithTheKeyBeforeALostRenewal) {
    Enrolment request = enrolment(token(office_));
    const Enrolled first = enrolled(request);
    const Renewal lost{first.node.certificate_serial, hex(random_bytes(32)), {"02", clock_.now()}};
    ASSERT_TRUE(store_->renew_certificate(key_of(first.node), lost));
    ASSERT_TRUE(store_->expire_node(key_of(first.node)));
    request.joining.token = token(office_);
    EXPECT_EQ(enrolled(request).node.id, first.node.id);
}

// An older state folder came back while a renewal is pending: the certificate in it is the one that
// must stay good until the new one is used, not the one that nobody has.
TEST_F(EnrolTest, ComesBackWithThePreviousKeyAndKeepsThatKeysCertificate) {
    Enrolment request = enrolment(token(office_));
    const Enrolled first = enrolled(request);
    const Key key = key_of(first.node);
    const Renewal lost{first.node.certificate_serial, hex(random_bytes(32)), {"02", clock_.now()}};
    ASSERT_TRUE(store_->renew_certificate(key, lost));
    for (int repeat = 0; repeat < 2; ++repeat) {
        request.joining.token = token(office_);
        const Enrolled again = enrolled(request);
        EXPECT_EQ(again.node.id, first.node.id);
        EXPECT_EQ(again.node.previous_serial, first.node.certificate_serial);
        EXPECT_EQ(again.node.previous_tls_key_hash, request.tls_key_hash);
        EXPECT_EQ(again.node.tls_key_hash, request.tls_key_hash);
    }
    ASSERT_TRUE(store_->confirm_certificate(key, node(key.id).certificate_serial));
    EXPECT_EQ(node(key.id).previous_serial, "");
}

TEST_F(EnrolTest, ComesBackWithTheCurrentKeyAndKeepsItsCertificateUntilTheNewOneIsUsed) {
    Enrolment request = enrolment(token(office_));
    const Enrolled first = enrolled(request);
    request.joining.token = token(office_);
    const Enrolled again = enrolled(request);
    EXPECT_EQ(again.node.previous_serial, first.node.certificate_serial);
    EXPECT_EQ(again.node.previous_tls_key_hash, first.node.tls_key_hash);
    ASSERT_TRUE(store_->expire_node(key_of(first.node)));
    request.joining.token = token(office_);
    EXPECT_EQ(enrolled(request).node.previous_serial, "");
    EXPECT_EQ(node(first.node.id).previous_tls_key_hash, "");
}

TEST_F(EnrolTest, ARenewalNeedsAFreshKeyOrThePendingOne) {
    const Enrolled first = enrolled(enrolment(token(office_)));
    const Key key = key_of(first.node);
    const std::string old_serial = first.node.certificate_serial, fresh = hex(random_bytes(32));
    const auto renewal = [&](const std::string& used, const std::string& hash,
                             const std::string& serial) {
        return store_->renew_certificate(key, {used, hash, {serial, clock_.now() + days(30)}});
    };
    EXPECT_FAILS(renewal(old_serial, first.node.tls_key_hash, "02"), Code::Invalid, "fresh key");
    ASSERT_TRUE(renewal(old_serial, fresh, "02"));
    // Its answer was lost: the same request comes again with the old certificate.
    ASSERT_TRUE(renewal(old_serial, fresh, "03"));
    EXPECT_FAILS(renewal(old_serial, first.node.tls_key_hash, "04"), Code::Invalid, "fresh key");
    EXPECT_FAILS(renewal("03", fresh, "04"), Code::Invalid, "fresh key");
    ASSERT_TRUE(store_->confirm_certificate(key, "03"));
    EXPECT_FAILS(renewal("03", fresh, "04"), Code::Invalid, "fresh key");
    EXPECT_EQ(node(key.id).certificate_serial, "03");
}

TEST_F(EnrolTest, ARenewalCanNotTakeAnothersKey) {
    const Enrolled one = enrolled(enrolment(token(office_)));
    const Enrolled two = enrolled(enrolment(token(office_)));
    const Renewal stolen{one.node.certificate_serial, two.node.tls_key_hash, {"02", clock_.now()}};
    EXPECT_FAILS(store_->renew_certificate(key_of(one.node), stolen), Code::Denied, "key");
    ASSERT_TRUE(store_->revoke_node(key_of(two.node)));
    ASSERT_TRUE(store_->delete_node(key_of(two.node)));
    EXPECT_FAILS(store_->renew_certificate(key_of(one.node), stolen), Code::Denied, "key");
}

TEST_F(EnrolTest, EndpointsMakeAnEventOnlyWhenTheyChange) {
    const Enrolled enrolled_node = enrolled(enrolment(token(office_)));
    const Key key = key_of(enrolled_node.node);
    const NodeEndpoints wanted{
        office_.id,
        4000,
        {*Endpoint::parse("192.0.2.1:4000"), *Endpoint::parse("[2001:db8::1]:4000")}};
    const auto changed = store_->set_endpoints(key, wanted);
    ASSERT_TRUE(changed && *changed);
    const size_t events = events_.size();
    const auto unchanged = store_->set_endpoints(key, wanted);
    ASSERT_TRUE(unchanged);
    EXPECT_FALSE(*unchanged);
    EXPECT_EQ(events_.size(), events);
    EXPECT_EQ(events_.back().kind, EventKind::EndpointsChanged);
    const model::Membership kept = node(key.id).memberships.front();
    EXPECT_EQ(kept.endpoints, wanted.endpoints);
    EXPECT_EQ(kept.listen_port, 4000);
    EXPECT_EQ(kept.revision, **changed);
    EXPECT_FAILS(store_->set_endpoints(key, {id(), 1, {}}), Code::NotFound, "not in it");
    EXPECT_FAILS(store_->set_endpoints({acme_, id()}, wanted), Code::NotFound, "node");
}

TEST_F(EnrolTest, RenamesANode) {
    const Enrolled one = enrolled(enrolment(token(office_), "one"));
    enrolled(enrolment(token(office_), "two"));
    EXPECT_FAILS(store_->update_node(key_of(one.node), {.name = "two"}), Code::Exists, "taken");
    const auto renamed = store_->update_node(key_of(one.node), {.name = "uno"});
    EXPECT_EQ(renamed->name, "uno");
    EXPECT_EQ(renamed->memberships.front().revision, renamed->revision);
    EXPECT_EQ(events_.back().network_ids, std::vector{office_.id});
    const size_t events = events_.size();
    EXPECT_TRUE(store_->update_node(key_of(one.node), {.name = "uno"}));
    EXPECT_EQ(events_.size(), events);
}

TEST_F(EnrolTest, AFirstUseIsWrittenAtOnceAndTheLaterOnesTogether) {
    const Enrolled one = enrolled(enrolment(token(office_)));
    const Enrolled two = enrolled(enrolment(token(office_)));
    EXPECT_FALSE(one.node.last_seen_at);
    ASSERT_TRUE(store_->touch_seen(key_of(one.node)));
    const WallTime first = clock_.now();
    const uint64_t commits = store_->commits();
    clock_.advance(std::chrono::seconds(60));
    ASSERT_TRUE(store_->touch_seen(key_of(one.node)));
    EXPECT_EQ(node(one.node.id).last_seen_at, first);
    EXPECT_EQ(store_->commits(), commits);

    const WallTime later = clock_.now();
    ASSERT_TRUE(store_->set_seen({{key_of(one.node), later}, {key_of(two.node), later}}));
    EXPECT_EQ(node(one.node.id).last_seen_at, later);
    EXPECT_EQ(store_->commits(), commits + 1);
    // Whoever never used what it got is not seen by what was noted before.
    EXPECT_FALSE(node(two.node.id).last_seen_at);
    // Never back.
    ASSERT_TRUE(store_->set_seen({{key_of(one.node), first}}));
    EXPECT_EQ(node(one.node.id).last_seen_at, later);
}

TEST_F(EnrolTest, AnInventoryThatIsTheSameWritesNothing) {
    const Enrolled one = enrolled(enrolment(token(office_)));
    model::Inventory inventory{"host", "Debian 12", "6.1", "x86_64", "1", {"02:00:00:00:00:01"}};
    ASSERT_TRUE(store_->set_inventory(key_of(one.node), inventory));
    const uint64_t commits = store_->commits();
    const size_t events = events_.size();
    ASSERT_TRUE(store_->set_inventory(key_of(one.node), inventory));
    EXPECT_EQ(store_->commits(), commits);
    inventory.mac_addresses.push_back("02:00:00:00:00:02");
    ASSERT_TRUE(store_->set_inventory(key_of(one.node), inventory));
    EXPECT_EQ(store_->commits(), commits + 1);
    EXPECT_EQ(node(one.node.id).inventory, inventory);
    EXPECT_EQ(events_.size(), events);
}

TEST_F(EnrolTest, MapInputsHoldAllThatMapsNeed) {
    const Enrolled one = enrolled(enrolment(token(office_), "one"));
    clock_.advance(std::chrono::milliseconds(1));
    const Enrolled two = enrolled(enrolment(token(office_), "two"));
    const model::Network lab = network(acme_, "lab", "10.200.0.0/24");
    const auto inputs = store_->map_inputs(acme_);
    ASSERT_TRUE(inputs);
    EXPECT_EQ(inputs->revision, store_->tenant(acme_)->revision);
    EXPECT_EQ(inputs->networks.size(), 2u);
    ASSERT_EQ(inputs->members.size(), 2u);
    EXPECT_EQ(inputs->members[0].node_name, "one");
    EXPECT_EQ(inputs->members[0].membership.ipv4, one.membership.ipv4);
    EXPECT_EQ(inputs->members[1].membership.node_id, two.node.id);
    EXPECT_EQ(inputs->members[0].came_in_at, one.revision);
    EXPECT_EQ(inputs->members[1].came_in_at, two.revision);
    EXPECT_EQ(inputs->removed_at, 0);
    const auto gone = store_->delete_node(key_of(one.node));
    ASSERT_TRUE(gone);
    EXPECT_EQ(store_->map_inputs(acme_)->removed_at, *gone);
    EXPECT_FAILS(store_->map_inputs(id()), Code::NotFound, "tenant");
}

}  // namespace
}  // namespace cvlan::store
