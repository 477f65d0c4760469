// SPDX-License-Identifier: Apache-2.0
#include "store/webhooks.h"

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using namespace std::chrono_literals;

struct WebhooksTest : StoreTest {
    std::string tenant_ = tenant("acme");
    Webhook hook(std::vector<std::string> events = {}) {
        auto made = store_->webhooks().create({tenant_, "hook", "https://h/", std::move(events)});
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

TEST_F(WebhooksTest, ADisabledOneIsToldNothing) {
    const auto made = hook();
    const Key key{made.tenant_id, made.id};
    ASSERT_TRUE(store_->webhooks().set_enabled(key, false));
    rename("one");
    EXPECT_TRUE(due().empty());
    ASSERT_TRUE(store_->webhooks().set_enabled(key, true));
    EXPECT_EQ(due().size(), 1u);
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
