// SPDX-License-Identifier: Apache-2.0
#include "store/webhooks.h"

#include <set>
#include <thread>

#include "model/wire.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using namespace std::chrono_literals;

struct WebhooksTest : StoreTest {
    std::string tenant_ = tenant("acme");
    Webhook hook(std::vector<std::string> events = {}, const std::string& name = "hook") {
        auto made = store_->webhooks().create({tenant_, name, "https://h/", std::move(events)});
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    std::vector<Delivery> due() {
        auto found = store_->webhooks().due(10);
        EXPECT_TRUE(found) << found.error().message;
        return *found;
    }
    void rename(const std::string& name) {
        ASSERT_TRUE(store_->update_tenant(tenant_, {.name = name}));
    }
};

TEST_F(WebhooksTest, AreToldOfWhatHappensFromNowOnOneByOneInOrder) {
    hook();
    EXPECT_FALSE(*store_->webhooks().is_any_due());
    EXPECT_TRUE(due().empty());
    rename("one");
    rename("two");
    EXPECT_TRUE(*store_->webhooks().is_any_due());
    const auto first = due();
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].event.kind, EventKind::TenantRenamed);
    ASSERT_TRUE(store_->webhooks().delivered(first[0], "200"));
    const auto second = due();
    ASSERT_EQ(second.size(), 1u);
    EXPECT_EQ(second[0].event.revision, first[0].event.revision + 1);
    ASSERT_TRUE(store_->webhooks().delivered(second[0], "200"));
    EXPECT_FALSE(*store_->webhooks().is_any_due());
    EXPECT_EQ(store_->webhooks().list({})->items.at(0).last_result, "200");
}

TEST_F(WebhooksTest, WhatIsNotTakenIsTriedLaterAndGivenUpInTheEnd) {
    const auto made = hook();
    rename("one");
    auto delivery = due().at(0);
    ASSERT_TRUE(store_->webhooks().not_delivered(delivery, "500", clock_.now() + 5s));
    EXPECT_TRUE(due().empty());
    EXPECT_FALSE(*store_->webhooks().is_any_due());
    clock_.advance(5s);
    delivery = due().at(0);
    EXPECT_EQ(delivery.webhook.attempts, 1);
    ASSERT_TRUE(store_->webhooks().not_delivered(delivery, "500", std::nullopt));
    EXPECT_TRUE(due().empty());
    const auto after = store_->webhooks().webhook({}, made.id);
    EXPECT_EQ(after->attempts, 0);
    EXPECT_EQ(after->last_result, "500");
}

TEST_F(WebhooksTest, PassOverWhatTheyDidNotAskFor) {
    hook({"NETWORK_CREATED"});
    rename("one");
    EXPECT_TRUE(due().empty());
    EXPECT_FALSE(*store_->webhooks().is_any_due());
    rename("two");
    network(tenant_, "office", "10.1.0.0/24");
    EXPECT_EQ(due().at(0).event.kind, EventKind::NetworkCreated);
}

TEST_F(WebhooksTest, OneThatIsAlwaysBehindKeepsNoOtherFromItsTurn) {
    hook({"NETWORK_CREATED"}, "none");
    hook({}, "one");
    hook({}, "two");
    std::set<std::string> told;
    for (const char* name : {"a", "b"}) {
        rename(name);
        const auto due = store_->webhooks().due(1);
        ASSERT_EQ(due->size(), 1u);
        told.insert(due->front().webhook.name);
        clock_.advance(1s);
        ASSERT_TRUE(store_->webhooks().delivered(due->front(), "200"));
    }
    EXPECT_EQ(told, (std::set<std::string>{"one", "two"}));
}

// What is committed while events are passed over is not passed over with them.
TEST_F(WebhooksTest, AreToldOfEachEventThatComesMeanwhile) {
    hook({"NETWORK_CREATED"});
    constexpr int kNetworks = 60;
    std::atomic<bool> is_done = false;
    std::thread writer([&] {
        for (int i = 0; i < kNetworks; ++i) {
            rename(fmt::format("t{}", i));
            network(tenant_, fmt::format("n{}", i), fmt::format("10.1.{}.0/24", i));
        }
        is_done = true;
    });
    int told = 0;
    while (true) {
        const bool was_done = is_done;
        const auto found = due();
        for (const Delivery& delivery : found)
            if (store_->webhooks().delivered(delivery, "200")) ++told;
        if (was_done && found.empty()) break;
    }
    writer.join();
    EXPECT_EQ(told, kNetworks);
}

TEST_F(WebhooksTest, WhatTheAuditKeepsOfOneIsJson) {
    ASSERT_TRUE(store_->webhooks().create({tenant_, "hook", "https://h/\",\"enabled\":\"", {}}));
    const auto entries = store_->audit({.tenant_id = tenant_})->items;
    model::wire::Webhook kept;
    const auto read = decode_into(entries.back().after, {}, kept);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(kept.url, "https://h/\",\"enabled\":\"");
}

TEST_F(WebhooksTest, ADisabledOneIsToldNothing) {
    const auto made = hook();
    const Key key{made.tenant_id, made.id};
    ASSERT_TRUE(store_->webhooks().change(key, {.is_enabled = false}));
    rename("one");
    EXPECT_TRUE(due().empty());
    ASSERT_TRUE(store_->webhooks().change(key, {.is_enabled = true}));
    EXPECT_EQ(due().size(), 1u);
}

TEST_F(WebhooksTest, AreTriedAtOnceAtAnotherAddress) {
    const auto made = hook();
    const Key key{made.tenant_id, made.id};
    rename("one");
    ASSERT_TRUE(store_->webhooks().not_delivered(due().at(0), "500", clock_.now() + 1h));
    ASSERT_TRUE(store_->webhooks().change(key, {.name = "renamed"}));
    EXPECT_TRUE(due().empty()) << "its name does not matter to it";
    const auto changed = *store_->webhooks().change(key, {.url = "https://other/"});
    EXPECT_EQ(changed.name, "renamed");
    EXPECT_EQ(due().at(0).webhook.url, "https://other/");
    ASSERT_TRUE(
        store_->webhooks().change(key, {.events = std::vector<std::string>{"NETWORK_CREATED"}}));
    EXPECT_TRUE(due().empty());
    hook();
    EXPECT_EQ(store_->webhooks().change(key, {.name = "hook"}).error().code, Code::Exists);
    EXPECT_EQ(store_->webhooks().change(key, {.name = "Not A Name"}).error().code, Code::Invalid);
    EXPECT_EQ(store_->webhooks().change({tenant("other"), made.id}, {}).error().code,
              Code::NotFound);
    EXPECT_EQ(store_->webhooks().rotate_secret(key)->secret_number, 1);
    const auto entries = store_->audit({.tenant_id = tenant_})->items;
    EXPECT_EQ(entries.back().action, "WEBHOOK_SECRET_ROTATED");
}

TEST_F(WebhooksTest, BelongToTheirTenantAndStandInItsAudit) {
    const auto made = hook();
    const std::string other = tenant("other");
    EXPECT_EQ(store_->webhooks().webhook(other, made.id).error().code, Code::NotFound);
    EXPECT_EQ(store_->webhooks().remove({other, made.id}).error().code, Code::NotFound);
    EXPECT_TRUE(store_->webhooks().list({.tenant = other})->items.empty());
    EXPECT_EQ(store_->webhooks().create({tenant_, "hook", "https://h/", {}}).error().code,
              Code::Exists);
    ASSERT_TRUE(store_->webhooks().remove({tenant_, made.id}));
    const auto audit = store_->audit({.tenant_id = tenant_});
    ASSERT_TRUE(audit) << audit.error().message;
    std::vector<std::string> actions;
    for (const auto& entry : audit->items) actions.push_back(entry.action);
    EXPECT_EQ(actions,
              (std::vector<std::string>{"TENANT_CREATED", "WEBHOOK_CREATED", "WEBHOOK_DELETED"}));
}

TEST_F(WebhooksTest, EndWithTheirTenant) {
    hook();
    rename("one");
    ASSERT_TRUE(store_->delete_tenant(tenant_));
    EXPECT_TRUE(due().empty());
    EXPECT_FALSE(*store_->webhooks().is_any_due());
}

}  // namespace
}  // namespace cvlan::store
