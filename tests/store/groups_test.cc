// SPDX-License-Identifier: Apache-2.0
// Tags, groups, regions, relays and virtual routers; policies and settings.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::Object;
using model::ObjectKind;
using model::Relation;
using Ids = std::vector<std::string>;

struct GroupsTest : StoreTest {
    std::string acme = tenant("acme");
    std::string other = tenant("other");
    model::Network office = network(acme, "office", "10.0.0.0/24");
    Objects& objects = store_->objects();
    Policies& policies = store_->policies();

    Object make(ObjectKind kind, const std::string& name,
                const std::map<Relation, Ids>& links = {}) {
        Object wanted{acme, {}, kind, name, ""};
        wanted.links = links;
        auto made = objects.create(wanted);
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    Result<Object> try_link(ObjectKind kind, Relation relation, const std::string& target) {
        Object wanted{acme, {}, kind, "x", ""};
        wanted.links[relation] = {target};
        return objects.create(wanted);
    }
    model::Policy document(const std::string& name) {
        auto made = policies.create({acme, {}, name, "", "allow all"});
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
};

TEST_F(GroupsTest, ANameIsOneOfItsKindInItsTenant) {
    make(ObjectKind::Group, "ops");
    EXPECT_FAILS(objects.create({acme, {}, ObjectKind::Group, "ops", ""}), Code::Exists, "taken");
    EXPECT_TRUE(objects.create({acme, {}, ObjectKind::Tag, "ops", ""}));
    EXPECT_TRUE(objects.create({other, {}, ObjectKind::Group, "ops", ""}));
    EXPECT_FAILS(objects.create({acme, {}, ObjectKind::Group, "Ops", ""}), Code::Invalid, "name");
    EXPECT_EQ(objects.list(ObjectKind::Group, {.tenant = acme})->items.size(), 1u);
}

TEST_F(GroupsTest, AnObjectIsFoundInItsTenantAndByItsKindAlone) {
    const Object ops = make(ObjectKind::Group, "ops");
    EXPECT_TRUE(objects.get(ObjectKind::Group, {}, ops.id));
    EXPECT_FAILS(objects.get(ObjectKind::Group, other, ops.id), Code::NotFound, "not found");
    EXPECT_FAILS(objects.get(ObjectKind::Tag, acme, ops.id), Code::NotFound, "not found");
    EXPECT_FAILS(objects.remove(ObjectKind::Group, {other, ops.id}), Code::NotFound, "");
    Object moved = ops;
    moved.tenant_id = other;
    EXPECT_FAILS(objects.update(moved), Code::NotFound, "not found");
}

TEST_F(GroupsTest, AnObjectPointsOnlyToWhatIsThereInItsTenant) {
    const model::Network lab = network(other, "lab", "10.0.0.0/24");
    const Object region = make(ObjectKind::Region, "eu");
    const auto refused = [&](ObjectKind kind, Relation relation, const std::string& target) {
        EXPECT_FAILS(try_link(kind, relation, target), Code::Invalid, "there is no");
    };
    refused(ObjectKind::Vrouter, Relation::Network, lab.id);
    refused(ObjectKind::Vrouter, Relation::Network, id());
    refused(ObjectKind::Relay, Relation::Region, office.id);
    refused(ObjectKind::Group, Relation::MemberUser, id());
    EXPECT_TRUE(objects.list(ObjectKind::Vrouter, {})->items.empty());
    const Object vrouter =
        make(ObjectKind::Vrouter, "vr1",
             {{Relation::Region, {region.id}}, {Relation::Network, {office.id}}});
    EXPECT_EQ(vrouter.links.at(Relation::Network), Ids{office.id});
    EXPECT_EQ(objects.get(ObjectKind::Vrouter, acme, vrouter.id)->links, vrouter.links);
}

TEST_F(GroupsTest, WhatIsGoneIsPointedToByNobody) {
    const model::Node node = enrolled(enrolment(token(office))).node;
    const Object group = make(ObjectKind::Group, "ops", {{Relation::MemberNode, {node.id}}});
    ASSERT_TRUE(store_->delete_node(key_of(node)));
    const auto after = objects.get(ObjectKind::Group, acme, group.id);
    EXPECT_TRUE(after->links.empty());
    EXPECT_GT(after->revision, group.revision) << "its ETag must not be good any more";
}

TEST_F(GroupsTest, ATagsOwnersAreUsersAndGroupsOfTheTenant) {
    const auto user = [&](const std::string& tenant_id, const std::string& name) {
        auto made = store_->accounts().create(
            {}, {tenant_id, model::AccountKind::User, name, model::TenantRole::Member, {}});
        EXPECT_TRUE(made) << made.error().message;
        return made->id;
    };
    const std::string anna = user(acme, "anna@example.com");
    EXPECT_FAILS(try_link(ObjectKind::Tag, Relation::OwnerUser, user(other, "eve@example.com")),
                 Code::Invalid, "no user");
    const Object tag = make(ObjectKind::Tag, "web", {{Relation::OwnerUser, {anna}}});
    ASSERT_TRUE(store_->accounts().remove({}, {acme, anna}));
    EXPECT_TRUE(objects.get(ObjectKind::Tag, acme, tag.id)->links.empty());
}

TEST_F(GroupsTest, ARegionWithSomethingInItIsNotDeleted) {
    const Object region = make(ObjectKind::Region, "eu");
    const Object relay = make(ObjectKind::Relay, "r1", {{Relation::Region, {region.id}}});
    EXPECT_FAILS(objects.remove(ObjectKind::Region, {acme, region.id}), Code::Conflict, "'r1'");
    ASSERT_TRUE(objects.remove(ObjectKind::Relay, {acme, relay.id}));
    EXPECT_TRUE(objects.remove(ObjectKind::Region, {acme, region.id}));
}

TEST_F(GroupsTest, AnUpdateReplacesAllAndTheAuditHasBothByTheNounsName) {
    Object group = make(ObjectKind::Group, "ops");
    group.name = "operators";
    group.description = "who answers at night";
    const auto changed = objects.update(group);
    ASSERT_TRUE(changed) << changed.error().message;
    EXPECT_GT(changed->revision, group.revision);
    const auto last = store_->audit({.tenant_id = acme})->items.back();
    EXPECT_EQ(last.action, "OBJECT_CHANGED");
    EXPECT_EQ(last.object_kind, "group");
    EXPECT_NE(last.before.find("\"ops\""), std::string::npos) << last.before;
    EXPECT_NE(last.after.find("\"operators\""), std::string::npos) << last.after;
    const auto stale = store_->as({.expected = group.revision});
    EXPECT_FAILS(stale->objects().update(group), Code::Conflict, "changed meanwhile");
    EXPECT_FAILS(stale->objects().remove(group.kind, {acme, group.id}), Code::Conflict, "");
    const auto trying = store_->as({.validate_only = true});
    EXPECT_TRUE(trying->objects().remove(group.kind, {acme, group.id}));
    EXPECT_TRUE(objects.get(group.kind, acme, group.id));
}

TEST_F(GroupsTest, ARelaysEndpointsAreAddressesWithPorts) {
    Object relay{acme, {}, ObjectKind::Relay, "r1", ""};
    relay.endpoints = {"192.0.2.1:3478", "[2001:db8::1]:3478"};
    EXPECT_EQ(objects.create(relay)->endpoints, relay.endpoints);
    relay.name = "r2";
    for (const char* bad : {"192.0.2.1", "192.0.2.1:0", "example.com:1", "' OR 1=1 --"}) {
        relay.endpoints = {bad};
        EXPECT_FAILS(objects.create(relay), Code::Invalid, "endpoints");
    }
}

TEST_F(GroupsTest, ATenantWithObjectsAloneIsDeletedWithThem) {
    make(ObjectKind::Group, "ops");
    document("base");
    ASSERT_TRUE(store_->delete_network({acme, office.id}));
    ASSERT_TRUE(store_->delete_tenant(acme));
    EXPECT_TRUE(objects.list(ObjectKind::Group, {})->items.empty());
    EXPECT_TRUE(policies.list({})->items.empty());
}

TEST_F(GroupsTest, APolicyKeepsEachSourceItHad) {
    model::Policy policy = document("base");
    EXPECT_EQ(policy.number, 1);
    policy.description = "the first";
    policy = *policies.update(policy);
    EXPECT_EQ(policy.number, 1) << "the same source is no further revision";
    policy.source = "deny all";
    const auto writer = store_->as({.actor = "user:7"});
    policy = *writer->policies().update(policy);
    EXPECT_EQ(policy.number, 2);
    const auto history = policies.revisions({acme, policy.id});
    ASSERT_EQ(history->size(), 2u);
    EXPECT_EQ((*history)[0].source, "deny all");
    EXPECT_EQ((*history)[0].created_by, "user:7");
    EXPECT_EQ((*history)[1].source, "allow all");
    EXPECT_FAILS(policies.get(other, policy.id), Code::NotFound, "not found");
    EXPECT_FAILS(policies.revisions({other, policy.id}), Code::NotFound, "not found");
}

TEST_F(GroupsTest, OfATenantsPoliciesOneRevisionIsInForce) {
    const model::Policy one = document("one");
    const model::Policy two = document("two");
    EXPECT_EQ(policies.activate({acme, one.id}, 1)->active_number, 1);
    EXPECT_EQ(policies.activate({acme, two.id}, 1)->active_number, 1);
    const auto before = policies.get(acme, one.id);
    EXPECT_FALSE(before->active_number);
    EXPECT_GT(before->revision, one.revision);
    EXPECT_FAILS(policies.activate({acme, two.id}, 2), Code::Invalid, "no revision 2");
    EXPECT_FAILS(policies.remove({acme, two.id}), Code::Conflict, "in force");
    EXPECT_FALSE(policies.activate({acme, two.id}, 0)->active_number);
    EXPECT_TRUE(policies.remove({acme, two.id}));
    EXPECT_FAILS(policies.activate({other, one.id}, 1), Code::NotFound, "not found");
}

TEST_F(GroupsTest, SettingsAreTheDefaultsUntilTheyAreSet) {
    auto settings = *policies.settings(acme);
    EXPECT_FALSE(settings.device_approval);
    EXPECT_EQ(settings.audit_retention_days, 90);
    EXPECT_EQ(settings.revision, 0);
    settings.device_approval = true;
    settings.map_expiry = model::MapExpiry::Drop;
    settings.node_key_life = std::chrono::hours(24);
    ASSERT_TRUE(policies.set_settings(settings));
    const auto kept = policies.settings(acme);
    EXPECT_TRUE(kept->device_approval);
    EXPECT_EQ(kept->map_expiry, model::MapExpiry::Drop);
    EXPECT_EQ(kept->node_key_life, settings.node_key_life);
    EXPECT_GT(kept->revision, 0);
    EXPECT_FALSE(policies.settings(other)->device_approval);
    const auto stale = store_->as({.expected = 0});
    EXPECT_FAILS(stale->policies().set_settings(settings), Code::Conflict, "changed meanwhile");
    settings.audit_retention_days = 0;
    EXPECT_FAILS(policies.set_settings(settings), Code::Invalid, "auditRetentionDays");
    EXPECT_FAILS(policies.settings(id()), Code::NotFound, "not found");
}

}  // namespace
}  // namespace cvlan::store
