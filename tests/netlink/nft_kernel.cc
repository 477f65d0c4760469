// SPDX-License-Identifier: Apache-2.0
// Tables, maps and rules against a real kernel, with nft(8) as the independent reader.
#include <arpa/inet.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "netlink/nft_client.h"
#include "tests/support/netns.h"

namespace cvlan::netlink::nft {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::output_of;

class Nft : public tests::InOwnNetns {
protected:
    void SetUp() override {
        InOwnNetns::SetUp();
        auto client = Client::open(netns());
        ASSERT_TRUE(client) << client.error().message;
        client_ = std::make_unique<Client>(std::move(*client));
    }
    Client& client() { return *client_; }
    // `batch` is used up.
    void commit(Batch& batch) {
        auto done = client().commit(std::move(batch));
        ASSERT_TRUE(done) << done.error().message;
    }
    // Table "t" with the map "m", port and protocol to mark, and the chain "pre".
    void make_table() {
        Batch batch("t");
        batch.add_table("version 1");
        batch.add_set({.name = "m",
                       .key = {Type::Ipv4, Type::Port},
                       .value = {Type::Ipv4, Type::Mark},
                       .has_timeouts = true,
                       .has_counters = true});
        batch.add_chain({"pre", Hook{NF_INET_PRE_ROUTING, -300}});
        commit(batch);
    }

private:
    std::unique_ptr<Client> client_;
};

// 10.0.<number / 256>.<number % 256> . 7 : 10.9.9.9 . 1
Element numbered(size_t number, std::string comment = "") {
    return {
        .key = {10, 0, static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number), 0, 7, 0, 0},
        .value = Bytes{10, 9, 9, 9, 1, 0, 0, 0},
        .timeout = std::chrono::minutes(5),
        .comment = std::move(comment)};
}

TEST_F(Nft, MakesATableThatNftReads) {
    make_table();
    Batch batch("t");
    batch.add_set({.name = "v", .key = {Type::Ipv6}, .value = {Type::Verdict}});
    batch.add_set({.name = "s", .key = {Type::Protocol, Type::Port}});
    batch.add_chain({"other"});
    const std::vector<Element> verdicts{{.key = Bytes(16, 1), .value = Verdict{NFT_JUMP, "other"}}};
    batch.add_elements("v", verdicts);
    const std::vector<Element> members{{.key = {IPPROTO_TCP, 0, 0, 0, 0, 22, 0, 0}}};
    batch.add_elements("s", members);
    const std::vector<Element> elements{numbered(1, "first")};
    batch.add_elements("m", elements);
    commit(batch);
    const std::string shown = output_of("nft list table inet t");
    EXPECT_THAT(shown, HasSubstr("comment \"version 1\""));
    EXPECT_THAT(shown, HasSubstr("type ipv4_addr . inet_service : ipv4_addr . mark"));
    EXPECT_THAT(shown, HasSubstr("flags timeout"));
    EXPECT_THAT(shown, HasSubstr("10.0.0.1 . 7 counter packets 0 bytes 0 timeout 5m expires"));
    EXPECT_THAT(shown, HasSubstr("comment \"first\" : 10.9.9.9 . 0x00000001"));
    EXPECT_THAT(shown, HasSubstr("elements = { 101:101:101:101:101:101:101:101 : jump other }"));
    EXPECT_THAT(shown, HasSubstr("elements = { tcp . 22 }"));
    EXPECT_THAT(shown, HasSubstr("type filter hook prerouting priority raw; policy accept;"));
}

TEST_F(Nft, MakesRulesThatNftReads) {
    make_table();
    Batch batch("t");
    batch.add_rule(
        {"pre",
         {LoadMeta{NFT_META_NFPROTO, 0}, Compare{0, {NFPROTO_IPV4}}, LoadMeta{NFT_META_L4PROTO, 0},
          Compare{0, {IPPROTO_UDP}}, LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 0},
          LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 1}, Lookup{"m", 0, 2}, Notrack{},
          Immediate{8, {1, 0, 0x80, 0xca}}, StoreMeta{NFT_META_MARK, 8},
          StorePayload{NFT_PAYLOAD_NETWORK_HEADER, 16, 4, 2, true},
          StorePayload{NFT_PAYLOAD_NETWORK_HEADER, 16, 8, 2},
          StorePayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, 1}, Verdict{NF_ACCEPT}},
         "the first"});
    batch.add_rule({"pre",
                    {LoadMeta{NFT_META_MARK, 5}, Mask{5, {0, 0, 0, 0xff}},
                     Compare{5, {0, 0, 0, 0xca}, NFT_CMP_NEQ}, Counter{}, Verdict{NF_DROP}}});
    commit(batch);
    const std::string shown = output_of("nft --debug=netlink list chain inet t pre");
    EXPECT_THAT(shown, HasSubstr("[ lookup reg 1 set m dreg 10 0x0 ]"));
    EXPECT_THAT(shown, HasSubstr("[ payload write reg 10 => 4b @ network header + 16 csum_type 1 "
                                 "csum_off 10 csum_flags 0x1 ]"));
    EXPECT_THAT(shown, HasSubstr("[ payload write reg 9 => 2b @ transport header + 0 csum_type 0 "
                                 "csum_off 0 csum_flags 0x1 ]"));
    EXPECT_THAT(shown, HasSubstr("[ notrack ]"));
    EXPECT_THAT(shown, HasSubstr("[ bitwise reg 13 = ( reg 13 & 0xff000000 ) ^ 0x00000000 ]"));
    EXPECT_THAT(shown, HasSubstr("counter packets 0 bytes 0 drop"));
    EXPECT_THAT(shown, HasSubstr("comment \"the first\""));

    const auto rules = client().rules("t", "pre");
    ASSERT_TRUE(rules) << rules.error().message;
    ASSERT_EQ(rules->size(), 2u);
    EXPECT_EQ(rules->at(0).comment, "the first");
    EXPECT_EQ(rules->at(0).chain, "pre");
    EXPECT_EQ(rules->at(1).comment, "");
    EXPECT_FALSE(rules->at(0).counted);
    EXPECT_EQ(rules->at(1).counted, Counter{});
    Batch empty("t");
    empty.remove_rules("pre");
    commit(empty);
    EXPECT_TRUE(client().rules("t", "pre")->empty());
    EXPECT_TRUE(client().rules("t", "no-such-chain")->empty());
}

TEST_F(Nft, ReadsBackWhatItWrote) {
    make_table();
    EXPECT_EQ(client().table("t")->comment, "version 1");
    EXPECT_EQ(client().table("u").error().code, Code::NotFound);
    EXPECT_EQ(client().elements("t", "n").error().code, Code::NotFound);
    std::vector<Element> elements;
    for (size_t i = 0; i < 5000; ++i) elements.push_back(numbered(i, fmt::format("no {}", i)));
    elements[7].counter = Counter{70, 700};
    Batch batch("t");
    batch.add_elements("m", elements);
    commit(batch);
    auto read = client().elements("t", "m");
    ASSERT_TRUE(read) << read.error().message;
    std::sort(read->begin(), read->end(),
              [](const Element& a, const Element& b) { return a.key < b.key; });
    ASSERT_EQ(read->size(), elements.size());
    for (size_t i = 0; i < elements.size(); ++i) {
        ASSERT_EQ(read->at(i).key, elements[i].key);
        ASSERT_EQ(read->at(i).value, elements[i].value);
        ASSERT_EQ(read->at(i).comment, elements[i].comment);
        ASSERT_EQ(read->at(i).counter, elements[i].counter.value_or(Counter{}));
        ASSERT_EQ(read->at(i).timeout, std::chrono::minutes(5));
        ASSERT_TRUE(read->at(i).expires_in);
    }
    const auto one = client().element("t", "m", elements[7].key);
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_EQ(one->counter, (Counter{70, 700}));
    EXPECT_EQ(client().element("t", "m", numbered(6000).key).error().code, Code::NotFound);

    Batch removal("t");
    const std::vector<Bytes> keys{elements[7].key};
    removal.remove_elements("m", keys);
    commit(removal);
    EXPECT_EQ(client().element("t", "m", elements[7].key).error().code, Code::NotFound);
}

TEST_F(Nft, ABatchIsDoneWholeOrNotAtAll) {
    make_table();
    const std::vector<Element> first{numbered(1)};
    Batch batch("t");
    batch.add_elements("m", first);
    commit(batch);
    const std::vector<Element> second{numbered(2)};
    Batch repeated("t");
    repeated.add_elements("m", second);
    repeated.add_elements("m", first);
    const auto again = client().commit(std::move(repeated));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::Exists);
    EXPECT_THAT(again.error().message, HasSubstr("nft: add elements of m: File exists"));
    EXPECT_EQ(client().elements("t", "m")->size(), 1u);

    Batch removal("t");
    const std::vector<Bytes> keys{first[0].key, second[0].key};
    removal.remove_elements("m", keys);
    const auto gone = client().commit(std::move(removal));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Code::NotFound);
    EXPECT_EQ(client().elements("t", "m")->size(), 1u);

    // In one batch, an element changes its value without ever being absent.
    Batch change("t");
    const std::vector<Bytes> old{first[0].key};
    std::vector<Element> changed{first};
    changed[0].value = Bytes{1, 1, 1, 1, 2, 0, 0, 0};
    change.remove_elements("m", old);
    change.add_elements("m", changed);
    commit(change);
    EXPECT_EQ(client().elements("t", "m")->at(0).value, changed[0].value);
}

TEST_F(Nft, AddingATableASetOrAChainAgainChangesNothing) {
    make_table();
    const std::vector<Element> elements{numbered(1)};
    Batch batch("t");
    batch.add_elements("m", elements);
    commit(batch);
    const std::string before =
        output_of("nft -a -j list table inet t | sed 's/\"expires\": [0-9]*//'");
    make_table();
    EXPECT_EQ(output_of("nft -a -j list table inet t | sed 's/\"expires\": [0-9]*//'"), before);
}

TEST_F(Nft, TouchesNoOtherTable) {
    output_of(
        "nft 'add table inet cvlan; add chain inet cvlan c { type filter hook input priority 0; }; "
        "add rule inet cvlan c udp dport 7 drop; add table ip t; add set ip t m { type mark; }'");
    const std::string before = output_of("nft -a -j list ruleset");
    make_table();
    EXPECT_THAT(output_of("nft list tables"), HasSubstr("table inet t"));
    Batch batch("t");
    batch.remove_table();
    commit(batch);
    EXPECT_EQ(output_of("nft -a -j list ruleset"), before);
    Batch again("t");
    again.remove_table();
    EXPECT_EQ(client().commit(std::move(again)).error().code, Code::NotFound);
}

TEST_F(Nft, SaysWhatTheKernelRefuses) {
    Batch batch("t");
    batch.add_rule({"pre", {Verdict{NF_ACCEPT}}, "x"});
    const auto refused = client().commit(std::move(batch));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::NotFound);
    EXPECT_THAT(refused.error().message, HasSubstr("nft: add rule to pre (x): "));
    EXPECT_TRUE(client().commit(Batch("t")));
    EXPECT_THAT(output_of("nft list ruleset"), Not(HasSubstr("table")));
}

}  // namespace
}  // namespace cvlan::netlink::nft
