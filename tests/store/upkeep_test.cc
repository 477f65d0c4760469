// SPDX-License-Identifier: Apache-2.0
// What a check finds in a database, and its epoch.
#include "store/upkeep.h"

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

struct UpkeepTest : StoreTest {
    model::Network network_ = network(tenant("acme"), "office", "10.1.0.0/24");
    std::unique_ptr<Database> db_ = place_.database();

    template <class... Args>
    void run_sql(const std::string& statement, const Args&... args) {
        auto done = db_->sql(statement, args...).run();
        EXPECT_TRUE(done) << done.error().message;
    }
    void expect_fault(const std::string& fault) {
        const auto found = store_->upkeep().check();
        ASSERT_TRUE(found) << found.error().message;
        ASSERT_EQ(found->size(), 1u) << fault;
        EXPECT_EQ(found->front().substr(0, fault.size()), fault);
    }
};

TEST_F(UpkeepTest, ACheckNamesWhatIsWrong) {
    const std::string node = "node " + enrolled(enrolment(token(network_, 9))).node.id;
    EXPECT_TRUE(store_->upkeep().check()->empty());
    run_sql("UPDATE networks SET node_count = 9");
    expect_fault("network " + network_.id + ": counts other nodes");

    run_sql("UPDATE networks SET node_count = 1, ipv4_next = ipv4_first");
    expect_fault(node + ": an address of it would be given again");

    run_sql("UPDATE networks SET ipv4_next = NULL");
    run_sql("UPDATE memberships SET ipv4 = ?", *Address::parse("1.2.3.4"));
    expect_fault(node + ": an address of it is outside");

    run_sql("UPDATE memberships SET ipv4 = ?", *Address::parse("10.1.0.9"));
    run_sql(
        "INSERT INTO released_addresses (tenant_id, network_id, family, address, "
        "quarantined_until) SELECT tenant_id, network_id, 4, ipv4, 0 FROM memberships");
    expect_fault(node + ": an address of it is held back");

    run_sql("DELETE FROM released_addresses");
    const std::string gone = id();
    run_sql(
        "INSERT INTO reserved_addresses (tenant_id, network_id, address, holder, reserved_at) "
        "VALUES (?, ?, ?, 'gateway', 0)",
        network_.tenant_id, gone, *Address::parse("10.1.0.9"));
    expect_fault("network " + gone + ": is gone, and addresses of it are still reserved");

    run_sql("DELETE FROM reserved_addresses");
    run_sql("UPDATE audit SET actor = 'x' WHERE sequence = 2");
    expect_fault("audit of " + network_.tenant_id + ": entry 2 was changed");
}

TEST_F(UpkeepTest, ANewEpochHoldsFromTheNextStartOnAndIsAudited) {
    const int64_t before = store_->epoch();
    const auto epoch = store_->upkeep().new_epoch();
    ASSERT_TRUE(epoch) << epoch.error().message;
    EXPECT_GT(*epoch, before);
    open();
    EXPECT_EQ(store_->epoch(), *epoch);
    EXPECT_EQ(store_->audit({})->items.back().action, "EPOCH_RAISED");
}

}  // namespace
}  // namespace cvlan::store
