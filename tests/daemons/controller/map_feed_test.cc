// SPDX-License-Identifier: Apache-2.0
// A change that does not come into the maps at once is not lost for good.
#include "daemons/controller/map_feed.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/bytes.h"
#include "store/sql_store.h"
#include "tests/support/failing_store.h"
#include "tests/support/temp_dir.h"

namespace cvlan::controller {
namespace {

struct MapFeedTest : testing::Test {
    test::TempDir folder;
    ManualClock clock{from_unix_ms(1'800'000'000'000)};
    EventLoop loop;
    std::unique_ptr<store::Store> store =
        *store::open_sqlite(folder.file("db"), clock, store::Create::Yes);
    test::FailingStore failing{*store};
    api::KeyRing keys{folder.file("keys")};
    maps::Maps maps{[this](const std::string& tenant_id, std::string payload) {
                        return keys.sign_map(tenant_id, std::move(payload));
                    },
                    clock};
    maps::Touched woken;
    MapFeed feed{{loop, failing, maps, keys,
                  [this](const maps::Touched& touched) {
                      woken.nodes.insert(touched.nodes.begin(), touched.nodes.end());
                      woken.networks.insert(touched.networks.begin(), touched.networks.end());
                  },
                  std::chrono::milliseconds(20)}};

    bool is_deferred = false;  // what is written waits for the loop
    std::string tenant = new_uuid(unix_ms(clock.now()));
    model::Network network;
    std::string first, second;  // nodes

    MapFeedTest() {
        store->on_event([this](const store::Event& event) {
            feed.take(event);
            if (!is_deferred) feed.bring_in();
        });
        EXPECT_TRUE(keys.create(tenant));
        EXPECT_TRUE(store->create_tenant({tenant, "acme", {}}));
        network = *store->create_network(
            {tenant, "office", *Prefix::parse("10.100.0.0/24"), {}, false, 1420});
        first = enrol();
        second = enrol();
        turn();
        woken = {};
    }
    std::string enrol() {
        model::TokenClaims claims;
        claims.id = new_uuid(unix_ms(clock.now()));
        claims.tenant_id = tenant;
        claims.network_id = network.id;
        claims.expires_at = clock.now() + std::chrono::hours(1);
        claims.nonce = random_bytes(32);
        EXPECT_TRUE(store->create_token(claims, {}));
        const store::Enrolment request{
            {claims, base64(random_bytes(32)), 51820, {}}, hex(random_bytes(32)), "", {}};
        const auto enrolled =
            store->enrol(request, [&](const store::Key&) -> Result<store::CertificateRow> {
                return store::CertificateRow{hex(random_bytes(16)), clock.now()};
            });
        EXPECT_TRUE(enrolled) << enrolled.error().message;
        return enrolled->node.id;
    }
    void turn() { loop.run_once(std::chrono::milliseconds(0)); }
    // Until `claim` holds; a test that waits for 5 s has failed.
    bool until(const std::function<bool()>& claim) {
        for (int i = 0; i < 500 && !claim(); ++i) loop.run_once(std::chrono::milliseconds(10));
        return claim();
    }
    bool was_woken(const std::string& node) const { return woken.nodes.contains(node); }
    // "FULL 4": the kind and the count of fragments; "304", or the code of a refusal.
    std::string poll(const std::string& node, std::optional<maps::Since> since) {
        auto answer = maps.answer(tenant, node, since);
        if (!answer) return answer.error().code == Code::Unavailable ? "503" : "404";
        if (!*answer) return "304";
        std::string text = (*answer)->body;
        for (const auto& chunk : (*answer)->chunks) text += *chunk;
        const auto map = model::decode<model::wire::NodeMap>(text, model::kDocument);
        last = {map->epoch, map->revision};
        return fmt::format("{} {}", model::wire::text(map->kind), map->fragments.size());
    }
    maps::Since last;
};

TEST_F(MapFeedTest, AChangeThatFailedIsInTheMapsOnceTheDatabaseAnswers) {
    EXPECT_EQ(poll(first, std::nullopt), "FULL 3");
    const auto before = last;
    failing.error = Error{Code::Unavailable, "database: is locked"};
    ASSERT_TRUE(store->update_node({tenant, second}, {.name = "renamed"}));
    turn();
    EXPECT_TRUE(woken.empty());
    // Neither the old state nor half of the new one goes out meanwhile.
    EXPECT_EQ(poll(first, before), "503");
    ASSERT_TRUE(store->revoke_node({tenant, second}));
    EXPECT_EQ(poll(first, before), "503");

    failing.error.reset();
    ASSERT_TRUE(until([&] { return was_woken(first); }));
    EXPECT_TRUE(was_woken(second)) << "its held poll must hear that it is revoked";
    EXPECT_EQ(poll(first, before), "FULL 2");
    EXPECT_EQ(poll(first, last), "304");
    EXPECT_EQ(poll(second, before), "404");
    // From here on all is as before.
    ASSERT_TRUE(store->update_node({tenant, first}, {.name = "another"}));
    EXPECT_EQ(poll(first, last), "DELTA 1");
}

TEST_F(MapFeedTest, TheNextEventOfTheTenantLoadsItAtOnce) {
    poll(first, std::nullopt);
    const auto before = last;
    failing.error = Error{Code::Unavailable, "database: is locked"};
    ASSERT_TRUE(store->update_node({tenant, second}, {.name = "renamed"}));
    failing.error.reset();
    ASSERT_TRUE(store->update_node({tenant, first}, {.name = "another"}));
    turn();
    EXPECT_TRUE(was_woken(first) && was_woken(second));
    EXPECT_EQ(poll(first, before), "DELTA 2") << "nothing was removed";
}

TEST_F(MapFeedTest, ATenantThatCanNotBeLoadedIsTriedEverMoreSeldom) {
    failing.error = Error{Code::Unavailable, "database: is locked"};
    const auto started = std::chrono::steady_clock::now();
    ASSERT_TRUE(store->update_node({tenant, second}, {.name = "renamed"}));
    const int first_failures = failing.failures;
    ASSERT_TRUE(until([&] { return failing.failures >= first_failures + 4; }));
    // After 20, 40, 80 and 160 ms; the loop's clock is a coarse one.
    EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::milliseconds(280));
    failing.error.reset();
    ASSERT_TRUE(until([&] { return was_woken(first); }));
}

TEST_F(MapFeedTest, ATenantThatIsDeletedMeanwhileIsForgotten) {
    failing.error = Error{Code::Unavailable, "database: is locked"};
    ASSERT_TRUE(store->delete_node({tenant, first}));
    ASSERT_TRUE(store->delete_node({tenant, second}));
    ASSERT_TRUE(store->delete_network({tenant, network.id}));
    ASSERT_TRUE(store->delete_tenant(tenant));
    EXPECT_EQ(poll(first, std::nullopt), "404");
}

TEST_F(MapFeedTest, WhatAnotherThreadWroteComesInByItselfAndSoonerForWhoeverAsks) {
    EXPECT_EQ(poll(first, std::nullopt), "FULL 3");
    is_deferred = true;
    std::thread([&] {
        EXPECT_TRUE(store->update_node({tenant, second}, {.name = "renamed"}));
    }).join();
    EXPECT_EQ(poll(first, last), "304");
    feed.bring_in();
    EXPECT_EQ(poll(first, last), "DELTA 1");
    std::thread([&] {
        EXPECT_TRUE(store->update_node({tenant, second}, {.name = "another"}));
    }).join();
    const auto before = last;
    EXPECT_TRUE(until([&] { return poll(first, before) == "DELTA 1"; }));
}

// Events come from other threads, later than what load() reads.
TEST_F(MapFeedTest, AnEventThatIsInWhatWasLoadedUndoesNothing) {
    EXPECT_EQ(poll(first, std::nullopt), "FULL 3");
    const auto before = last;
    ASSERT_TRUE(feed.load_all());
    feed.take({tenant, before.revision, store::EventKind::NodeExpired, second, {network.id}, {}});
    feed.bring_in();
    EXPECT_EQ(poll(first, std::nullopt), "FULL 3");
    EXPECT_EQ(last.revision, before.revision);
}

// Each object would be left out by itself, and every node would drop its peers.
TEST_F(MapFeedTest, ATenantWithoutItsKeysGivesNoMapRatherThanAnEmptyOne) {
    std::filesystem::rename(folder.file("keys"), folder.file("elsewhere"));
    api::KeyRing none(folder.file("keys"));
    maps::Maps unsigned_maps{[&](const std::string& tenant_id, std::string payload) {
                                 return none.sign_map(tenant_id, std::move(payload));
                             },
                             clock};
    MapFeed keyless{{loop, *store, unsigned_maps, none, [](const maps::Touched&) {}}};
    ASSERT_TRUE(keyless.load_all());
    EXPECT_EQ(unsigned_maps.answer(tenant, first, std::nullopt).error().code, Code::Unavailable);
    std::filesystem::rename(folder.file("elsewhere"), folder.file("keys"));
    ASSERT_TRUE(until([&] { return bool(unsigned_maps.answer(tenant, first, std::nullopt)); }));
}

}  // namespace
}  // namespace cvlan::controller
