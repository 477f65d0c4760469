// SPDX-License-Identifier: Apache-2.0
// Connections to foreign sites: what they may overlap, who is told of them, who gets their secrets.
#include "store/connections.h"

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::Connection;
using model::Object;
using model::ObjectKind;
using model::Relation;
using Texts = std::vector<std::string>;

class ConnectionsTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    model::Network office_ = network(acme_, "office", "10.100.0.0/24");
    model::Network lab_ = network(acme_, "lab", "10.101.0.0/24");

    model::Node machine(const model::Network& network, const std::string& name = "gw") {
        model::TokenClaims claims;
        claims.id = id();
        claims.tenant_id = network.tenant_id;
        claims.network_id = network.id;
        claims.role = model::TokenRole::Vrouter;
        claims.expires_at = clock_.now() + std::chrono::hours(24);
        claims.nonce = random_bytes(32);
        EXPECT_TRUE(store_->create_token(claims, {}));
        return enrolled(enrolment(claims, name)).node;
    }
    Object vrouter(const model::Node& on, const model::Network& network, const Texts& routes = {}) {
        Object wanted{network.tenant_id, {}, ObjectKind::Vrouter, "gw-" + network.name, ""};
        wanted.links[Relation::Node] = {on.id};
        wanted.links[Relation::Network] = {network.id};
        wanted.routes = routes;
        auto made = store_->objects().create(wanted);
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    Connection wanted(const char* name, const char* subnet) {
        Connection connection;
        connection.tenant_id = acme_;
        connection.network_id = office_.id;
        connection.name = name;
        connection.remote_identity = "fw.example";
        connection.remote_addresses = {*Address::parse("192.0.2.7")};
        connection.remote_subnets = {*Prefix::parse(subnet)};
        return connection;
    }
    static Connections::Seal sealed() {
        return [](const Connection& of) {
            return fmt::format("sealed {} {}", of.id, of.secret_revision);
        };
    }
    Result<Connection> try_make(const Connection& connection) {
        return store_->connections().create(connection, "acme.example", sealed());
    }
    Connection make(const Connection& connection) {
        clock_.advance(std::chrono::milliseconds(1));  // ids are in the order of their making
        auto made = try_make(connection);
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    Texts routes_of(const model::Node& of) {
        return store_->node(acme_, of.id)->memberships.at(0).routes;
    }
};

TEST_F(ConnectionsTest, NeedsAVrouterInItsNetwork) {
    const auto refused = try_make(wanted("berlin", "192.168.7.0/24"));
    EXPECT_FAILS(refused, Code::Conflict, "network 'office' has no vrouter");
    EXPECT_EQ(refused.error().pointer, "/networkId");
    vrouter(machine(lab_), lab_);
    EXPECT_FAILS(try_make(wanted("berlin", "192.168.7.0/24")), Code::Conflict, "no vrouter");
    vrouter(machine(office_), office_);
    const auto made = make(wanted("berlin", "192.168.7.0/24"));
    EXPECT_EQ(made.local_identity, made.id + ".ike.acme.example");
    EXPECT_EQ(made.secret_revision, 1);
    auto foreign = wanted("other", "192.168.8.0/24");
    foreign.network_id = network(tenant("other"), "else", "10.9.0.0/24").id;
    EXPECT_FAILS(try_make(foreign), Code::Invalid, "not found");
}

TEST_F(ConnectionsTest, ComesBackAsItWasMade) {
    vrouter(machine(office_), office_);
    auto full = wanted("berlin", "192.168.7.0/24");
    full.remote_identity = "C=DE, O=Example, CN=fw 7";
    full.remote_addresses.push_back(*Address::parse("2001:db8::7"));
    full.remote_subnets.push_back(*Prefix::parse("fd07::/64"));
    full.local_subnets = {*Prefix::parse("10.100.0.0/28")};
    full.ike_proposals = {"aes256-sha256-modp2048", "aes256gcm16-prfsha384-ecp384"};
    full.esp_proposals = {"aes256-sha256"};
    full.start = model::wire::IpsecStart::Start;
    full.dpd = std::chrono::seconds(60);
    full.rekey = std::chrono::seconds(900);
    const auto made = make(full);
    const auto read = store_->connections().get(acme_, made.id);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(static_cast<const model::MapConnection&>(*read),
              static_cast<const model::MapConnection&>(made));
    EXPECT_EQ(read->remote_identity, full.remote_identity);
    EXPECT_EQ(read->remote_subnets, full.remote_subnets);
    EXPECT_EQ(read->start, model::wire::IpsecStart::Start);
    EXPECT_EQ(read->created_at, clock_.now());
    EXPECT_EQ(read->revision, made.revision);
    EXPECT_EQ(read->network_id, office_.id);
    const auto listed = store_->connections().list({.tenant = acme_, .network_id = office_.id});
    ASSERT_TRUE(listed);
    EXPECT_EQ(listed->items.size(), 1u);
    EXPECT_TRUE(store_->connections().list({.network_id = lab_.id})->items.empty());
    EXPECT_FAILS(try_make(full), Code::Exists, "name 'berlin' is taken");
}

TEST_F(ConnectionsTest, OfAnotherTenantIsNotThere) {
    vrouter(machine(office_), office_);
    auto made = make(wanted("berlin", "192.168.7.0/24"));
    const std::string other = tenant("other");
    EXPECT_FAILS(store_->connections().get(other, made.id), Code::NotFound, "not found");
    EXPECT_FAILS(store_->connections().remove({other, made.id}), Code::NotFound, "not found");
    made.tenant_id = other;
    EXPECT_FAILS(store_->connections().update(made, {}), Code::NotFound, "not found");
}

TEST_F(ConnectionsTest, ASiteOverlapsNothingOfItsTenantAndNothingComesOverIt) {
    const auto gateway = vrouter(machine(office_), office_, {"172.16.0.0/16"});
    const auto refused = [&](const char* subnet, const char* why) {
        EXPECT_FAILS(try_make(wanted("bad", subnet)), Code::Conflict, why);
    };
    refused("10.101.0.0/16", "overlaps 10.101.0.0/24 of network 'lab'");
    refused("172.16.9.0/24", "overlaps the route 172.16.0.0/16 of vrouter 'gw-office'");
    auto berlin = make(wanted("berlin", "192.168.0.0/16"));
    refused("192.168.7.0/24", "overlaps 192.168.0.0/16 of connection 'berlin'");
    EXPECT_TRUE(store_->connections().update(berlin, {})) << "it does not overlap itself";

    const auto late = try_network(acme_, "late", "192.168.9.0/24");
    EXPECT_FAILS(late, Code::Conflict, "overlaps 192.168.0.0/16 of connection 'berlin'");
    EXPECT_EQ(late.error().pointer, "/ipv4");
    auto wider = gateway;
    wider.routes = {"192.0.0.0/8"};
    EXPECT_FAILS(store_->objects().update(wider), Code::Conflict, "of connection 'berlin'");
    EXPECT_TRUE(try_network(tenant("other"), "late", "192.168.9.0/24")) << "another tenant's";

    auto second = make(wanted("paris", "172.20.0.0/16"));
    second.remote_subnets = {*Prefix::parse("192.168.1.0/24")};
    EXPECT_FAILS(store_->connections().update(second, {}), Code::Conflict, "'berlin'");
}

TEST_F(ConnectionsTest, AreRoutesOfTheNetworksGatewayWhileTheyAreEnabled) {
    const auto node = machine(office_);
    vrouter(node, office_, {"172.16.0.0/16"});
    auto berlin = make(wanted("berlin", "192.168.7.0/24"));
    EXPECT_EQ(events_.back().kind, EventKind::NodeChanged);
    EXPECT_EQ(events_.back().object_id, node.id);
    EXPECT_EQ(events_[events_.size() - 2].kind, EventKind::ObjectCreated);
    make(wanted("paris", "192.168.8.0/24"));
    EXPECT_EQ(routes_of(node), (Texts{"172.16.0.0/16", "192.168.7.0/24", "192.168.8.0/24"}));
    EXPECT_EQ(store_->map_inputs(acme_)->connections.size(), 2u);

    berlin.enabled = false;
    berlin = *store_->connections().update(berlin, {});
    EXPECT_EQ(routes_of(node), (Texts{"172.16.0.0/16", "192.168.8.0/24"}));
    EXPECT_EQ(store_->map_inputs(acme_)->connections.size(), 1u);
    EXPECT_EQ(store_->map_inputs(acme_)->removed_at, berlin.revision)
        << "a vrouter that was away gets a full map";
    const size_t events = events_.size();
    berlin.name = "bonn";
    berlin = *store_->connections().update(berlin, {});
    EXPECT_EQ(events_.size(), events + 1) << "no other route, and no node that changes";
    berlin.enabled = true;
    ASSERT_TRUE(store_->connections().update(berlin, {}));
    EXPECT_EQ(routes_of(node).size(), 3u);
    ASSERT_TRUE(store_->connections().remove({acme_, berlin.id}));
    EXPECT_EQ(routes_of(node), (Texts{"172.16.0.0/16", "192.168.8.0/24"}));
}

TEST_F(ConnectionsTest, SecretsAreForTheGatewaysNodeAlone) {
    const auto node = machine(office_, "first"), other = machine(office_, "second");
    const auto plain = enrolled(enrolment(token(office_))).node;
    auto gateway = vrouter(node, office_);
    auto made = make(wanted("berlin", "192.168.7.0/24"));
    const auto secrets = [&](const model::Node& of) {
        auto all = store_->connections().secrets_of(key_of(of));
        EXPECT_TRUE(all) << all.error().message;
        return *all;
    };
    ASSERT_EQ(secrets(node).size(), 1u);
    EXPECT_EQ(secrets(node)[0].connection_id, made.id);
    EXPECT_EQ(secrets(node)[0].sealed, "sealed " + made.id + " 1");
    EXPECT_TRUE(secrets(other).empty());
    EXPECT_TRUE(secrets(plain).empty());
    EXPECT_TRUE(store_->connections().secrets_of({tenant("other"), node.id})->empty());

    made.name = "bonn";
    made = *store_->connections().update(made, {});
    EXPECT_EQ(made.secret_revision, 1);
    EXPECT_EQ(secrets(node)[0].sealed, "sealed " + made.id + " 1") << "it stays as it was";
    made = *store_->connections().update(made, sealed());
    EXPECT_EQ(made.secret_revision, 2);
    EXPECT_EQ(secrets(node)[0].sealed, "sealed " + made.id + " 2");

    gateway.links[Relation::Node] = {other.id};
    ASSERT_TRUE(store_->objects().update(gateway));
    EXPECT_TRUE(secrets(node).empty()) << "it is the gateway no more";
    EXPECT_EQ(secrets(other).size(), 1u);
    made.enabled = false;
    made = *store_->connections().update(made, {});
    EXPECT_TRUE(secrets(other).empty());
    made.enabled = true;
    ASSERT_TRUE(store_->connections().update(made, {}));
    ASSERT_TRUE(store_->expire_node(key_of(other)));
    EXPECT_TRUE(secrets(other).empty());
}

TEST_F(ConnectionsTest, ACertificateHasNoSecret) {
    vrouter(machine(office_), office_);
    auto connection = wanted("berlin", "192.168.7.0/24");
    EXPECT_FAILS(store_->connections().create(connection, "acme.example", {}), Code::Invalid,
                 "secret: is needed");
    connection.auth = model::wire::IpsecAuth::Certificate;
    connection.remote_ca = "PEM";
    EXPECT_FAILS(try_make(connection), Code::Invalid, "secret: is not of CERTIFICATE");
    const auto made = store_->connections().create(connection, "acme.example", {});
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->secret_revision, 0);
    EXPECT_FAILS(store_->connections().update(*made, sealed()), Code::Invalid, "not of");
}

TEST_F(ConnectionsTest, NeitherGoesWithItsNetworkNorLosesItsAlgorithms) {
    vrouter(machine(office_), office_);
    auto connection = wanted("berlin", "192.168.7.0/24");
    connection.ike_proposals = {"aes256-sha256-modp2048"};
    connection = make(connection);
    const Key office{acme_, office_.id};
    const NetworkChange fips{.data_plane = model::DataPlane::Ipsec,
                             .crypto_profile = model::CryptoProfile::FipsAlgorithms};
    EXPECT_FAILS(store_->change_network(office, fips), Code::Conflict,
                 "connection 'berlin': ikeProposals: aes256-sha256-modp2048");
    connection.ike_proposals.clear();
    connection = *store_->connections().update(connection, {});
    ASSERT_TRUE(store_->change_network(office, fips));
    connection.ike_proposals = {"aes256gcm16-prfsha256-ecp384"};
    const auto refused = store_->connections().update(connection, {});
    EXPECT_FAILS(refused, Code::Invalid, "have no prfsha256");
    EXPECT_EQ(refused.error().pointer, "/ikeProposals/0");

    ASSERT_TRUE(store_->delete_node(key_of(store_->nodes({.tenant = acme_})->items.at(0))));
    EXPECT_FAILS(store_->delete_network(office), Code::Conflict, "connection 'berlin'");
    ASSERT_TRUE(store_->connections().remove({acme_, connection.id}));
    EXPECT_TRUE(store_->delete_network(office));
}

TEST_F(ConnectionsTest, OfTwoChangesToOneRevisionTheSecondIsRefused) {
    vrouter(machine(office_), office_);
    auto one = make(wanted("berlin", "192.168.7.0/24"));
    auto other = one;
    one.enabled = false;
    ASSERT_TRUE(store_->connections().update(one, {}));
    other.name = "bonn";
    EXPECT_FAILS(store_->connections().update(other, {}), Code::Conflict, "changed meanwhile");
    const auto kept = store_->connections().get(acme_, one.id);
    EXPECT_FALSE(kept->enabled);
    EXPECT_EQ(kept->name, "berlin");
}

TEST_F(ConnectionsTest, TheAuditHasTheChangeAndNoSecret) {
    vrouter(machine(office_), office_);
    auto made = make(wanted("berlin", "192.168.7.0/24"));
    made.name = "bonn";
    ASSERT_TRUE(store_->connections().update(made, sealed()));
    ASSERT_TRUE(store_->connections().remove({acme_, made.id}));
    const auto audit = store_->audit({.tenant_id = acme_, .object_id = made.id});
    ASSERT_TRUE(audit) << audit.error().message;
    ASSERT_EQ(audit->items.size(), 3u);
    for (const auto& entry : audit->items) {
        EXPECT_EQ(entry.object_kind, "ipsec-connection");
        EXPECT_EQ(entry.before.find("sealed"), std::string::npos);
        EXPECT_EQ(entry.after.find("sealed"), std::string::npos);
    }
    EXPECT_NE(audit->items[1].before.find("berlin"), std::string::npos);
    EXPECT_NE(audit->items[1].after.find(R"("secretRevision":"2")"), std::string::npos);
}

}  // namespace
}  // namespace cvlan::store
