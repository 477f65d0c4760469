// SPDX-License-Identifier: Apache-2.0
// Addresses that are given to what is no node.
#include <future>
#include <set>

#include "store/sql_store.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

class ReservedTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    model::Network office_ = network(acme_, "office", "10.0.0.0/28");
    Key key_{acme_, office_.id};

    Addresses addresses() { return dynamic_cast<SqlStore&>(*store_).addresses(); }
    std::string reserve(Family family = Family::V4) {
        auto address = addresses().reserve(key_, family, "gateway");
        return address ? address->text() : address.error().message;
    }
};

TEST_F(ReservedTest, TheyComeFromThePoolThatNodesHaveTheirsFrom) {
    EXPECT_EQ(reserve(), "10.0.0.1");
    EXPECT_EQ(enrolled(enrolment(token(office_))).membership.ipv4->text(), "10.0.0.2");
    EXPECT_EQ(reserve(), "10.0.0.3");
    EXPECT_EQ(*addresses().reserved(key_), 2);
    EXPECT_EQ(reserve(Family::V6), "network 'office' has no prefix of that family");
    EXPECT_FAILS(addresses().reserve({acme_, id()}, Family::V4, "x"), Code::NotFound, "not found");
}

TEST_F(ReservedTest, GoIntoQuarantineWhenGivenBack) {
    EXPECT_EQ(reserve(), "10.0.0.1");
    const Address first = *Address::parse("10.0.0.1");
    ASSERT_TRUE(addresses().give_back(key_, first));
    EXPECT_FAILS(addresses().give_back(key_, first), Code::NotFound, "10.0.0.1");
    EXPECT_EQ(reserve(), "10.0.0.2");
    clock_.advance(std::chrono::days(7));
    EXPECT_EQ(reserve(), "10.0.0.1");
}

TEST_F(ReservedTest, ANetworkThatHasSomeIsNotDeleted) {
    EXPECT_EQ(reserve(), "10.0.0.1");
    EXPECT_FAILS(store_->delete_network(key_), Code::Conflict, "still has reserved addresses");
    ASSERT_TRUE(addresses().give_back(key_, *Address::parse("10.0.0.1")));
    EXPECT_TRUE(store_->delete_network(key_));
}

// More callers than addresses: each address once, and the others are told.
TEST_F(ReservedTest, ManyCallersGetEachAddressOnce) {
    std::vector<std::future<std::string>> callers;
    for (int i = 0; i < 20; ++i)
        callers.push_back(std::async(std::launch::async, [this] { return reserve(); }));
    std::multiset<std::string> answers;
    for (auto& caller : callers) answers.insert(caller.get());
    EXPECT_EQ(answers.count("network 'office': pool exhausted 14/14"), 6u);
    EXPECT_EQ(std::set<std::string>(answers.begin(), answers.end()).size(), 15u);
    EXPECT_EQ(*addresses().reserved(key_), 14);
}

}  // namespace
}  // namespace cvlan::store
