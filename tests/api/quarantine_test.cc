// SPDX-License-Identifier: Apache-2.0
// What somebody's hand spoiled in the database: named, left out, and nobody else's map the worse.
#include <fmt/ranges.h>
#include <sqlite3.h>

#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

struct QuarantineTest : ApiTest {
    std::string tenant = make_tenant();
    std::string network = make_network(tenant);
    TestNode good = enrolled(make_token(tenant, network).token, "good");
    TestNode bad = enrolled(make_token(tenant, network).token, "bad");

    // As sqlite3(1) would, beside the controller; then the controller starts anew.
    void spoil(const std::string& sql) {
        sqlite3* db = nullptr;
        ASSERT_EQ(sqlite3_open((folder + "/db").c_str(), &db), SQLITE_OK);
        char* why = nullptr;
        EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &why), SQLITE_OK) << why;
        EXPECT_EQ(sqlite3_changes(db), 1) << sql;
        sqlite3_free(why);
        sqlite3_close(db);
        const auto inputs = store->map_inputs(tenant);
        ASSERT_TRUE(inputs) << inputs.error().message;
        maps.load(tenant, store->epoch(), *inputs);
    }
    std::string of_bad() const {
        return fmt::format(" WHERE node_id = '{}'", bad.enrolment.node_id);
    }
    // Kinds of the fragments in the node's full map.
    std::string map_of(const TestNode& node) {
        const auto answer = ask("GET", "/api/v1/node/map", "", node.enrolment.certificate);
        EXPECT_EQ(answer.status, 200) << answer.body;
        std::set<std::string> told;
        for (const auto& fragment : whole_map(answer).fragments) {
            const auto read = fragment_of(fragment);
            told.insert(read.peer ? read.peer->name : read.network->name);
        }
        return fmt::format("{}", fmt::join(told, " "));
    }
    std::vector<wire::QuarantinedObject> listed(const std::string& of) {
        return expect<wire::QuarantineList>(200, ask("GET", "/api/v1/quarantine?tenant=" + of))
            .objects;
    }
};

TEST_F(QuarantineTest, ABadPlaceOfANodeIsLeftOutOfTheOthersMaps) {
    EXPECT_EQ(map_of(good), "bad good office");
    const std::string node = fmt::format(" WHERE id = '{}'", bad.enrolment.node_id);
    const struct {
        std::string spoil, heal, reason;
    } cases[] = {
        {"UPDATE nodes SET name = 'Bad; rm -rf /'" + node, "UPDATE nodes SET name = 'bad'" + node,
         "name"},
        {"UPDATE memberships SET wireguard_key = 'nonsense'" + of_bad(),
         fmt::format("UPDATE memberships SET wireguard_key = '{}'", bad.wireguard_key) + of_bad(),
         "WireGuard key"},
        {"UPDATE memberships SET ipv4 = x'01020304'" + of_bad(),
         "UPDATE memberships SET ipv4 = x'0a640009'" + of_bad(), "1.2.3.4 is not in the network"},
        {"UPDATE memberships SET ipv4 = x'0102', ipv6 = NULL" + of_bad(),
         "UPDATE memberships SET ipv4 = x'0a640009'" + of_bad(), "no address"},
    };
    for (const auto& it : cases) {
        SCOPED_TRACE(it.spoil);
        spoil(it.spoil);
        EXPECT_EQ(map_of(good), "good office");
        const auto found = listed(tenant);
        ASSERT_EQ(found.size(), 1u);
        EXPECT_EQ(found[0].node_id, bad.enrolment.node_id);
        EXPECT_NE(found[0].reason.find(it.reason), std::string::npos) << found[0].reason;
        EXPECT_TRUE(listed(make_tenant(fmt::format("other{}", &it - cases))).empty());
        spoil(it.heal);
        EXPECT_EQ(map_of(good), "bad good office");
        EXPECT_TRUE(listed(tenant).empty());
    }
}

TEST_F(QuarantineTest, ABadNetworkSpoilsNoOther) {
    const auto lab = make_network(tenant, "10.7.0.0/24", "lab");
    const auto there = enrolled(make_token(tenant, lab).token, "there");
    const std::string where = fmt::format(" WHERE id = '{}'", lab);
    for (const char* set : {"mtu = 0", "name = 'A B'", "ipv4_first = x'00', ipv6_first = NULL"}) {
        SCOPED_TRACE(set);
        spoil(fmt::format("UPDATE networks SET {}", set) + where);
        EXPECT_EQ(map_of(good), "bad good office");
        EXPECT_EQ(map_of(there), "");
        ASSERT_EQ(listed(tenant).size(), 1u);
        EXPECT_FALSE(listed(tenant)[0].node_id);
    }
    // Who enrols meanwhile is served all the same.
    EXPECT_EQ(map_of(enrolled(make_token(tenant, network).token, "new")), "bad good new office");
}

TEST_F(QuarantineTest, WhatIsDeletedIsInQuarantineNoLonger) {
    spoil("UPDATE memberships SET wireguard_key = ''" + of_bad());
    EXPECT_EQ(listed(tenant).size(), 1u);
    ASSERT_EQ(ask("DELETE", "/api/v1/nodes/" + bad.enrolment.node_id).status, 204);
    EXPECT_TRUE(listed(tenant).empty());
    EXPECT_EQ(map_of(good), "good office");
}

}  // namespace
}  // namespace cvlan::api
