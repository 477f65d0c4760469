// SPDX-License-Identifier: Apache-2.0
// Accounts: who may make and change them, and how one gets its password.
#include <thread>

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::Account;
using model::AccountKind;
using model::TenantRole;

struct AccountsTest : StoreTest {
    std::string acme_ = tenant("acme");
    std::string other_ = tenant("other");

    Accounts accounts() { return store_->accounts(); }
    static Key key(const Account& account) { return {account.tenant_id, account.id}; }

    Account user(const std::string& tenant_id, const std::string& email, TenantRole role) {
        auto made = accounts().create({}, {tenant_id, AccountKind::User, email, role});
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    // With a password.
    Account working(const std::string& tenant_id, const std::string& email, TenantRole role) {
        const Account made = user(tenant_id, email, role);
        EXPECT_TRUE(accounts().invite({}, key(made), link("link of " + email)));
        auto accepted = accounts().accept("link of " + email, "hash of " + email);
        EXPECT_TRUE(accepted) << accepted.error().message;
        return *accepted;
    }
    Link link(const std::string& hash) { return {hash, clock_.now() + std::chrono::hours(1)}; }
    std::string reason(const auto& result) { return result ? "" : result.error().reason; }
};

TEST_F(AccountsTest, AreOfTheirTenantAlone) {
    const Account anna = user(acme_, "anna@example.org", TenantRole::Admin);
    user(other_, "anna@example.org", TenantRole::Owner);
    EXPECT_FAILS(accounts().create({}, {acme_, AccountKind::User, "anna@example.org"}),
                 Code::Exists, "is there already");
    EXPECT_FAILS(accounts().create({}, {id(), AccountKind::User, "b@example.org"}), Code::NotFound,
                 "tenant");
    EXPECT_EQ(accounts().get(acme_, anna.id)->name, "anna@example.org");
    EXPECT_FAILS(accounts().get(other_, anna.id), Code::NotFound, "not found");
    Filter filter;
    filter.tenant = acme_;
    EXPECT_EQ(accounts().list(filter, AccountKind::User)->items.size(), 1U);
    EXPECT_TRUE(accounts().list(filter, AccountKind::Service)->items.empty());
    filter.tenant = {};
    EXPECT_EQ(accounts().list(filter, AccountKind::User)->items.size(), 2U);
}

TEST_F(AccountsTest, NobodyGrantsAboveTheirOwnRole) {
    const Account owner = working(acme_, "o@example.org", TenantRole::Owner);
    const Account admin = working(acme_, "a@example.org", TenantRole::Admin);
    const Account auditor = working(acme_, "u@example.org", TenantRole::Auditor);
    const Account stranger = working(other_, "s@example.org", TenantRole::Owner);
    const auto create = [&](const Account& by, TenantRole role) {
        return accounts().create(
            key(by), {acme_, AccountKind::User, fmt::format("new-{}@example.org", id()), role});
    };
    EXPECT_TRUE(create(admin, TenantRole::Admin));
    EXPECT_EQ(reason(create(admin, TenantRole::Owner)), "ABOVE_OWN_ROLE");
    EXPECT_TRUE(create(owner, TenantRole::Owner));
    EXPECT_EQ(reason(create(auditor, TenantRole::Member)), "ROLE_TOO_LOW");
    EXPECT_FAILS(create(stranger, TenantRole::Member), Code::NotFound, "not found");
    // Neither lifts an admin itself, nor touches who stands above.
    const AccountChange lift{TenantRole::Owner, {}};
    EXPECT_EQ(reason(accounts().change(key(admin), key(admin), lift)), "ABOVE_OWN_ROLE");
    EXPECT_EQ(reason(accounts().change(key(admin), key(owner), {TenantRole::Member, {}})),
              "ABOVE_OWN_ROLE");
    EXPECT_EQ(reason(accounts().remove(key(admin), key(owner))), "ABOVE_OWN_ROLE");
    EXPECT_EQ(reason(accounts().invite(key(admin), key(owner), link("x"))), "ABOVE_OWN_ROLE");
    // One who was lowered meanwhile grants nothing any more.
    ASSERT_TRUE(accounts().change(key(owner), key(admin), {TenantRole::Member, {}}));
    EXPECT_EQ(reason(create(admin, TenantRole::Member)), "ROLE_TOO_LOW");
    ASSERT_TRUE(accounts().change(key(owner), key(admin), {TenantRole::Admin, true}));
    EXPECT_EQ(reason(create(admin, TenantRole::Member)), "ROLE_TOO_LOW");
}

TEST_F(AccountsTest, OperatorsStandAboveTenants) {
    const Account root = working("", "root@example.org", TenantRole::Owner);
    const Account looks = working("", "looks@example.org", TenantRole::Auditor);
    EXPECT_FAILS(accounts().create({}, {"", AccountKind::User, "m@example.org", TenantRole::Admin}),
                 Code::Invalid, "above tenants");
    EXPECT_TRUE(accounts().create(key(root),
                                  {acme_, AccountKind::User, "o@example.org", TenantRole::Owner}));
    EXPECT_EQ(reason(accounts().create(
                  key(looks), {acme_, AccountKind::User, "p@example.org", TenantRole::Member})),
              "ROLE_TOO_LOW");
    EXPECT_EQ(reason(accounts().change({}, key(root), {TenantRole::Auditor, {}})), "LAST_OWNER");
    EXPECT_FAILS(accounts().change({}, key(looks), {TenantRole::Member, {}}), Code::Invalid,
                 "above tenants");
}

TEST_F(AccountsTest, TheLastOwnerStays) {
    const Account one = working(acme_, "one@example.org", TenantRole::Owner);
    const Account two = user(acme_, "two@example.org", TenantRole::Owner);  // has no password yet
    EXPECT_EQ(reason(accounts().remove(key(one), key(one))), "LAST_OWNER");
    EXPECT_EQ(reason(accounts().change({}, key(one), {TenantRole::Admin, {}})), "LAST_OWNER");
    EXPECT_EQ(reason(accounts().change({}, key(one), {{}, true})), "LAST_OWNER");
    ASSERT_TRUE(accounts().invite({}, key(two), link("l")));
    ASSERT_TRUE(accounts().accept("l", "hash"));
    EXPECT_TRUE(accounts().remove(key(one), key(one)));
    EXPECT_EQ(reason(accounts().remove({}, key(two))), "LAST_OWNER");
}

// security.md I5: a check outside of the transaction lets two owners lower each other.
TEST_F(AccountsTest, TwoOwnersThatLowerEachOtherLeaveOne) {
    const Account one = working(acme_, "one@example.org", TenantRole::Owner);
    const Account two = working(acme_, "two@example.org", TenantRole::Owner);
    for (int round = 0; round < 50; ++round) {
        bool lowered[2] = {};
        const auto lower = [&](int i, const Account& by, const Account& whom) {
            lowered[i] = accounts().change(key(by), key(whom), {TenantRole::Admin, {}}).has_value();
        };
        std::thread first([&] { lower(0, one, two); });
        std::thread second([&] { lower(1, two, one); });
        first.join();
        second.join();
        ASSERT_NE(lowered[0], lowered[1]) << "round " << round;
        ASSERT_TRUE(accounts().change({}, key(lowered[0] ? two : one), {TenantRole::Owner, {}}));
    }
}

TEST_F(AccountsTest, ALinkSetsAPasswordOnce) {
    const Account anna = user(acme_, "anna@example.org", TenantRole::Member);
    ASSERT_TRUE(accounts().invite({}, key(anna), link("first")));
    ASSERT_TRUE(accounts().invite({}, key(anna), link("second")));
    EXPECT_EQ(reason(accounts().accept("first", "h")), "LINK_INVALID");  // replaced
    EXPECT_EQ(accounts().link("second")->id, anna.id);
    auto accepted = accounts().accept("second", "h");
    ASSERT_TRUE(accepted);
    EXPECT_TRUE(accepted->has_password);
    EXPECT_EQ(reason(accounts().accept("second", "g")), "LINK_INVALID");
    EXPECT_EQ(accounts().login("acme", "anna@example.org")->value().password_hash, "h");
    ASSERT_TRUE(accounts().invite({}, key(anna), link("late")));
    clock_.advance(std::chrono::hours(1));
    EXPECT_EQ(reason(accounts().link("late")), "LINK_INVALID");
    EXPECT_EQ(reason(accounts().accept("late", "g")), "LINK_INVALID");
}

TEST_F(AccountsTest, TheBootstrapMakesTheFirstOperatorAlone) {
    ASSERT_TRUE(*accounts().make_bootstrap(link("boot")));
    ASSERT_TRUE(*accounts().make_bootstrap(link("boot again")));  // the next start
    EXPECT_EQ(reason(accounts().bootstrap("boot", "a@example.org", "h")), "LINK_INVALID");
    EXPECT_EQ(reason(accounts().accept("boot again", "h")), "LINK_INVALID");
    auto first = accounts().bootstrap("boot again", "a@example.org", "h");
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(first->role, TenantRole::Owner);
    EXPECT_EQ(first->tenant_id, "");
    EXPECT_EQ(reason(accounts().bootstrap("boot again", "b@example.org", "h")), "LINK_INVALID");
    EXPECT_FALSE(*accounts().make_bootstrap(link("never")));
    const Account anna = user(acme_, "anna@example.org", TenantRole::Member);
    ASSERT_TRUE(accounts().invite({}, key(anna), link("annas")));
    EXPECT_EQ(reason(accounts().bootstrap("annas", "b@example.org", "h")), "LINK_INVALID");
}

TEST_F(AccountsTest, TheBootstrapsLinkIsVoidOnceThereIsAnOperator) {
    ASSERT_TRUE(*accounts().make_bootstrap(link("boot")));
    const Account anna = user(acme_, "anna@example.org", TenantRole::Owner);
    EXPECT_TRUE(accounts().link("boot")) << "a tenant's account operates nothing";
    ASSERT_TRUE(accounts().invite({}, key(anna), link("annas")));
    const Account root = user("", "root@example.org", TenantRole::Owner);
    EXPECT_EQ(reason(accounts().link("boot")), "LINK_INVALID");
    EXPECT_EQ(reason(accounts().bootstrap("boot", "b@example.org", "h")), "LINK_INVALID");
    EXPECT_TRUE(accounts().accept("annas", "h"));
}

TEST_F(AccountsTest, GoWithTheirTenant) {
    const Account anna = working(acme_, "anna@example.org", TenantRole::Owner);
    ASSERT_TRUE(store_->delete_tenant(acme_));
    EXPECT_FAILS(accounts().get({}, anna.id), Code::NotFound, "not found");
}

TEST_F(AccountsTest, ChangesAreInTheAuditAndNoSecretIs) {
    const Account anna = working(acme_, "anna@example.org", TenantRole::Member);
    const Account root = working("", "root@example.org", TenantRole::Owner);
    ASSERT_TRUE(accounts().change({}, key(anna), {TenantRole::Admin, {}}));
    std::string actions;
    const auto of_acme = *store_->audit({.tenant_id = acme_, .page_size = 1000});
    for (const auto& entry : of_acme.items) {
        actions += entry.action + " ";
        for (const std::string& text : {entry.before, entry.after})
            EXPECT_EQ(text.find("hash of"), std::string::npos) << text;
        if (entry.action != "ACCOUNT_CHANGED") continue;
        EXPECT_NE(entry.before.find("MEMBER"), std::string::npos) << entry.before;
        EXPECT_NE(entry.after.find("ADMIN"), std::string::npos) << entry.after;
    }
    EXPECT_EQ(actions,
              "TENANT_CREATED ACCOUNT_CREATED ACCOUNT_INVITED PASSWORD_SET ACCOUNT_CHANGED ");
    EXPECT_EQ(store_->audit({.tenant_id = "", .page_size = 1000})->items.size(), 3U);
    const auto verdicts = *store_->verify_audit({});
    for (const auto& verdict : verdicts) EXPECT_EQ(verdict.fault, "");
}

TEST_F(AccountsTest, WhatOneMakesIsTheirsAndSoAreTheNodesThatEnrolWithIt) {
    const model::Network office = network(acme_, "office", "10.1.0.0/24");
    const auto nobodys = token(office);
    const auto as_anna = store_->as({"user:anna", "192.0.2.1", "r"});
    auto claims = token(office);
    claims.id = id();
    ASSERT_TRUE(as_anna->create_token(claims, {}));
    EXPECT_EQ(store_->token(acme_, claims.id)->owner, "user:anna");
    EXPECT_EQ(store_->token(acme_, nobodys.id)->owner, "");
    const auto mine = enrolled(enrolment(claims, "mine"));
    enrolled(enrolment(nobodys, "other"));
    EXPECT_EQ(mine.node.owner, "user:anna");
    Filter filter;
    filter.owner = "user:anna";
    ASSERT_EQ(store_->nodes(filter)->items.size(), 1U);
    EXPECT_EQ(store_->nodes(filter)->items[0].id, mine.node.id);
    EXPECT_EQ(store_->tokens(filter)->items.size(), 1U);
}

TEST(CheckEmail, TakesAnAddressInLowerCase) {
    EXPECT_EQ(*model::check_email("Anna.B+x@Example.ORG"), "anna.b+x@example.org");
    for (const char* bad :
         {"", "@", "a@", "@b", "a b@c", "a@b@c", "a@b,c@d", "<a@b>", "a\n@b", "\xC3\xA4@b"})
        EXPECT_FALSE(model::check_email(bad)) << bad;
    EXPECT_FALSE(model::check_email(std::string(250, 'a') + "@bcde"));
}

}  // namespace
}  // namespace cvlan::store
