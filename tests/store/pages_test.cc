// SPDX-License-Identifier: Apache-2.0
// What a tenant may fill, and what one page of it costs: no listing is as big as a tenant likes.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::Object;
using model::ObjectKind;

constexpr size_t kSource = 256 * 1024;

struct PagesTest : StoreTest {
    std::string acme_ = tenant("acme");

    // Pages of up to 1000, by what each holds of `items`, until there is no further one.
    template <class List>
    std::vector<size_t> sizes_of_pages(List list) {
        std::vector<size_t> sizes;
        std::string token;
        do {
            auto page = list(token);
            EXPECT_TRUE(page) << page.error().message;
            if (!page) return sizes;
            sizes.push_back(page->items.size());
            for (const auto& item : page->items) seen_.push_back(name_of(item));
            token = page->next_page_token;
        } while (!token.empty() && sizes.size() < 100);
        return sizes;
    }
    static std::string name_of(const model::Policy& policy) { return policy.name; }
    static std::string name_of(const Object& object) { return object.name; }
    static std::string name_of(const model::AuditEntry& entry) {
        return fmt::format("{}", entry.sequence);
    }
    Result<model::Policy> document(int number, size_t size = 10) {
        return store_->policies().create({acme_, {}, name(number), "", std::string(size, 'x')});
    }
    static std::string name(int number) { return fmt::format("n{:04}", number); }
    // Past the store, in one transaction.
    template <class Fill>
    void fill(Fill rows) {
        const auto db = place_.database();
        auto transaction = Transaction::begin(*db);
        ASSERT_TRUE(transaction);
        rows(*db);
        ASSERT_TRUE(transaction->commit());
    }

    std::vector<std::string> seen_;
};

TEST_F(PagesTest, APageOfPoliciesEndsWithTheOneThatMakesItBig) {
    std::vector<std::string> names;
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(document(i, kSource));
        names.push_back(name(i));
    }
    for (const OrderBy order : {OrderBy::CreatedAt, OrderBy::Name}) {
        seen_.clear();
        const auto sizes = sizes_of_pages([&](const std::string& token) {
            return store_->policies().list(
                {.tenant = acme_, .order_by = order, .page_size = 1000, .page_token = token});
        });
        EXPECT_EQ(sizes, (std::vector<size_t>{4, 4, 2}));
        std::sort(seen_.begin(), seen_.end());
        EXPECT_EQ(seen_, names) << "each is on one page";
    }
    EXPECT_EQ(store_->policies().list({.tenant = acme_, .page_size = 3})->items.size(), 3u);
}

TEST_F(PagesTest, AHistoryEndsWithTheRevisionThatMakesItBig) {
    model::Policy policy = *document(1, kSource);
    for (int number = 2; number <= 6; ++number) {
        policy.source = std::string(kSource, static_cast<char>('a' + number));
        ASSERT_TRUE(store_->policies().update(policy));
    }
    const auto history = store_->policies().revisions({acme_, policy.id});
    ASSERT_TRUE(history);
    ASSERT_EQ(history->size(), 4u);
    EXPECT_EQ(history->front().number, 6);
    EXPECT_EQ(history->back().number, 3);
    EXPECT_EQ(history->back().source, std::string(kSource, 'd'));
}

// A tenant's disk is not the controller's to fill.
TEST_F(PagesTest, AHistoryForgetsTheOldestButForTheOneInForce) {
    model::Policy policy = *document(1, 1);
    const auto write = [&](const std::string& source) {
        policy.source = source;
        const auto written = store_->policies().update(policy);
        EXPECT_TRUE(written) << written.error().message;
    };
    for (int number = 2; number <= 110; ++number) write(fmt::format("{}", number));
    ASSERT_TRUE(store_->policies().activate({acme_, policy.id}, 11));
    write("111");
    write("112");
    const auto numbers = [&] {
        std::vector<int64_t> found;
        const auto db = place_.database();
        Statement rows = db->sql("SELECT number FROM policy_revisions ORDER BY number DESC");
        while (rows.next()) found.push_back(rows.integer(0));
        return found;
    };
    auto left = numbers();
    EXPECT_EQ(left.size(), 102u) << "the newest, 100 others, and the one in force";
    EXPECT_EQ(left.front(), 112);
    EXPECT_EQ(left[100], 12);
    EXPECT_EQ(left.back(), 11);
    EXPECT_FAILS(store_->policies().activate({acme_, policy.id}, 10), Code::Invalid,
                 "no revision 10");
    // In size too: 256 KiB each, of which 32 make 8 MiB.
    for (char c = 'A'; c <= 'h'; ++c) write(std::string(256 << 10, c));
    left = numbers();
    EXPECT_EQ(left.size(), 33u);
    EXPECT_EQ(left.back(), 11);
}

TEST_F(PagesTest, APageOfGroupsEndsWithTheOneThatMakesItBig) {
    for (int i = 0; i < 25; ++i) {
        const auto group = store_->objects().create({acme_, {}, ObjectKind::Group, name(i), ""});
        ASSERT_TRUE(group);
        fill([&](Database& db) {
            for (int link = 0; link < 30; ++link)
                ASSERT_TRUE(db.sql("INSERT INTO object_links (tenant_id, object_id, relation, "
                                   "position, target_id) VALUES (?, ?, 1, ?, ?)",
                                   acme_, group->id, link,
                                   fmt::format("{}{}", std::string(2000, 'x'), link))
                                .run());
        });
    }
    const auto sizes = sizes_of_pages([&](const std::string& token) {
        return store_->objects().list(ObjectKind::Group,
                                      {.tenant = acme_, .page_size = 1000, .page_token = token});
    });
    EXPECT_EQ(sizes, (std::vector<size_t>{18, 7}));
    EXPECT_EQ(seen_.size(), 25u);
}

TEST_F(PagesTest, APageOfTheAuditEndsWithTheEntryThatMakesItBig) {
    for (int i = 0; i < 250; ++i)
        ASSERT_TRUE(store_->update_tenant(acme_, {.description = fmt::format("{}", i)}));
    fill([&](Database& db) {
        ASSERT_TRUE(db.sql("UPDATE audit SET before_json = ? WHERE tenant_id = ? AND sequence "
                           "IN (1, 2, 210)",
                           std::string(1 << 20, 'x'), acme_)
                        .run());
    });
    const auto list = [&](const std::string& token) {
        return store_->audit({.tenant_id = acme_, .page_size = 1000, .page_token = token});
    };
    EXPECT_EQ(sizes_of_pages(list), (std::vector<size_t>{1, 1, 208, 41}));
    ASSERT_EQ(seen_.size(), 251u);
    EXPECT_EQ(seen_.back(), "251");
    const auto some = store_->audit({.tenant_id = acme_, .page_size = 150, .page_token = "2"});
    EXPECT_EQ(some->items.size(), 150u);
    EXPECT_EQ(some->next_page_token, "152");
}

TEST_F(PagesTest, ATenantHasSoManyPoliciesAndNoMore) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(document(i));
    const auto more = document(100);
    EXPECT_FAILS(more, Code::Conflict, "quota of policies exceeded: 100/100");
    EXPECT_EQ(more.error().reason, kQuotaExceeded);
    const std::string other = tenant("other");
    EXPECT_TRUE(store_->policies().create({other, {}, "p", "", ""}));
}

TEST_F(PagesTest, ATenantHasSoManyObjectsOfAKindAndNoMore) {
    fill([&](Database& db) {
        for (int i = 0; i < 1000; ++i)
            ASSERT_TRUE(db.sql("INSERT INTO objects (tenant_id, id, kind, name, description, "
                               "revision, created_at) VALUES (?, ?, ?, ?, '', 1, 0)",
                               acme_, id(), ObjectKind::Relay, name(i))
                            .run());
    });
    const auto more = store_->objects().create({acme_, {}, ObjectKind::Relay, "more", ""});
    EXPECT_FAILS(more, Code::Conflict, "quota of relays exceeded: 1000/1000");
    EXPECT_EQ(more.error().reason, kQuotaExceeded);
    EXPECT_TRUE(store_->objects().create({acme_, {}, ObjectKind::Region, "more", ""}));
}

TEST_F(PagesTest, ATenantHasSoManyTokenKeysAndNoMore) {
    const auto make = [&](int i) {
        return store_->create_token_key({acme_, {}, name(i), fmt::format("{:016x}", i), "k", {}});
    };
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(make(i));
    EXPECT_FAILS(make(100), Code::Conflict, "quota of token keys exceeded: 100/100");
}

TEST_F(PagesTest, AnAccountHasSoManyAccessTokensAndNoMore) {
    const auto account =
        store_->accounts().create({}, {acme_, model::AccountKind::Service, "robot"});
    ASSERT_TRUE(account);
    fill([&](Database& db) {
        for (int i = 0; i < 1000; ++i)
            ASSERT_TRUE(db.sql("INSERT INTO access_tokens (tenant_id, id, account_id, name, "
                               "prefix, hash, created_at, expires_at) VALUES (?, ?, ?, '', '', ?, "
                               "0, 0)",
                               acme_, id(), account->id, name(i))
                            .run());
    });
    EXPECT_FAILS(store_->accounts().create_token(
                     {}, {{acme_, account->id}, "more", "p", "more", clock_.now()}),
                 Code::Conflict, "quota of access tokens exceeded: 1000/1000");
}

}  // namespace
}  // namespace cvlan::store
