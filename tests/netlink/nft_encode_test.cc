// SPDX-License-Identifier: Apache-2.0
#include "netlink/nft_encode.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink/nft_parse.h"
#include "tests/support/nft_recorded.h"

namespace cvlan::netlink::nft {
namespace {

// The one message that `fill` puts into a batch of table "t".
template <class Fill>
Bytes payload_of(Fill fill) {
    Batch batch("t");
    fill(batch);
    const auto sealed = batch.seal();
    EXPECT_EQ(sealed.messages.size(), 3u);
    EXPECT_FALSE(sealed.messages[1].error());
    const ByteView payload = sealed.messages[1].payload();
    return {payload.begin(), payload.end()};
}

// In hex, which shows where two differ.
template <class Fill>
std::string encoded(Fill fill) {
    return hex(payload_of(fill));
}
std::string nft_recorded(const std::string& name) { return hex(tests::nft_recorded(name)); }
std::string nft_recorded_without(const std::string& name, uint16_t type) {
    return hex(tests::nft_recorded_without(name, type));
}

Bytes word(uint32_t big_endian) {
    const uint32_t value = htonl(big_endian);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    return {bytes, bytes + sizeof value};
}

Set pairs() {
    return {.name = "m",
            .key = {Type::Ipv4, Type::Ipv4, Type::Port, Type::Port},
            .value = {Type::Ipv4, Type::Port, Type::Mark},
            .has_timeouts = true,
            .has_counters = true};
}

// 10.1.0.2 . 10.9.0.1 . 20000 . 49152 : 10.2.0.2 . 5000 . 0xca800001
Element pair_element() {
    return {.key = from_hex("0a0100020a0900014e200000c0000000").value(),
            .value = from_hex("0a02000213880000010080ca").value(),
            .timeout = std::chrono::minutes(5),
            .counter = Counter{3, 4},
            .comment = "abc"};
}

TEST(EncodeNft, WritesTablesChainsAndSetsAsNftDoes) {
    EXPECT_EQ(encoded([](Batch& to) { to.add_table(""); }),
              nft_recorded_without("add_table", NFTA_TABLE_FLAGS));
    EXPECT_EQ(encoded([](Batch& to) { to.add_chain({"other"}); }), nft_recorded("add_chain"));
    EXPECT_EQ(encoded([](Batch& to) {
                  to.add_chain({"pre", Hook{NF_INET_PRE_ROUTING, -300}});
              }),
              nft_recorded("add_base_chain"));
    EXPECT_EQ(encoded([](Batch& to) { to.add_set(pairs()); }),
              nft_recorded_without("add_map", NFTA_SET_USERDATA));
    EXPECT_EQ(encoded([](Batch& to) {
                  to.add_set({.name = "v", .key = {Type::Ipv4}, .value = {Type::Verdict}});
              }),
              nft_recorded_without("add_verdict_map", NFTA_SET_USERDATA));
    EXPECT_EQ(encoded([](Batch& to) { to.add_set({.name = "s", .key = {Type::Port}}); }),
              nft_recorded_without("add_set", NFTA_SET_USERDATA));
}

TEST(EncodeNft, WritesRulesAsNftDoes) {
    const Rule protocol{"pre",
                        {LoadMeta{NFT_META_L4PROTO, 0}, Compare{0, {IPPROTO_UDP}, NFT_CMP_NEQ},
                         Verdict{NF_ACCEPT}}};
    EXPECT_EQ(encoded([&](Batch& to) { to.add_rule(protocol); }), nft_recorded("rule_protocol"));
    const Rule bind{"pre",
                    {LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 8, 2, 0}, Compare{0, {0x02, 0x8a}},
                     LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 12, 4, 0},
                     Compare{0, word(0x2112a442)}, Verdict{NF_ACCEPT}},
                    "bind"};
    EXPECT_EQ(encoded([&](Batch& to) { to.add_rule(bind); }), nft_recorded("rule_bind"));
    const Rule notrack{"pre",
                       {Notrack{}, Immediate{0, {0x01, 0x00, 0x80, 0xca}},
                        StoreMeta{NFT_META_MARK, 0}, Counter{}}};
    EXPECT_EQ(encoded([&](Batch& to) { to.add_rule(notrack); }), nft_recorded("rule_notrack"));
    const Rule tproxy{"pre",
                      {LoadMeta{NFT_META_L4PROTO, 0}, Compare{0, {IPPROTO_UDP}},
                       Immediate{0, {0, 1}}, Tproxy{0}}};
    EXPECT_EQ(encoded([&](Batch& to) { to.add_rule(tproxy); }), nft_recorded("rule_tproxy"));
    const Rule address{
        "pre",
        {LoadMeta{NFT_META_MARK, 0}, Mask{0, {0, 0, 0, 0xff}}, Compare{0, {0, 0, 0, 0xca}},
         LoadMeta{NFT_META_NFPROTO, 0}, Compare{0, {NFPROTO_IPV4}}, Immediate{0, {10, 9, 0, 1}},
         StorePayload{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 0, true}}};
    EXPECT_EQ(encoded([&](Batch& to) { to.add_rule(address); }), nft_recorded("rule_address"));
}

TEST(EncodeNft, WritesElementsAsNftDoes) {
    const std::vector<Element> pair{pair_element()};
    EXPECT_EQ(encoded([&](Batch& to) { to.add_elements("m", pair); }),
              nft_recorded_without("add_element", NFTA_SET_ELEM_LIST_SET_ID));
    const std::vector<Element> verdicts{{.key = {10, 1, 0, 2}, .value = Verdict{NFT_JUMP, "other"}},
                                        {.key = {10, 1, 0, 3}, .value = Verdict{NF_DROP}}};
    EXPECT_EQ(encoded([&](Batch& to) { to.add_elements("v", verdicts); }),
              nft_recorded_without("add_verdicts", NFTA_SET_ELEM_LIST_SET_ID));
    const std::vector<Bytes> keys{pair[0].key};
    EXPECT_EQ(encoded([&](Batch& to) { to.remove_elements("m", keys); }),
              nft_recorded("remove_element"));
}

TEST(EncodeNft, WritesRemovalsAsNftDoes) {
    EXPECT_EQ(encoded([](Batch& to) { to.remove_rules("pre"); }), nft_recorded("flush_chain"));
    EXPECT_EQ(encoded([](Batch& to) { to.remove_table(); }), nft_recorded("remove_table"));
}

TEST(EncodeNft, ALookupNamesWhereItsValueGoes) {
    const std::string plain = encoded([](Batch& to) { to.add_rule({"pre", {Lookup{"s", 0}}}); });
    const std::string map = encoded([](Batch& to) { to.add_rule({"pre", {Lookup{"m", 0, 5}}}); });
    const std::string verdict = encoded([](Batch& to) {
        to.add_rule({"pre", {Lookup{"v", 0, {}, true}}});
    });
    EXPECT_EQ(map.size(), plain.size() + 16);
    EXPECT_EQ(verdict.size(), plain.size() + 16);
    // NFTA_LOOKUP_DREG: word 5 begins no register of 16 bytes, so it goes by its own number.
    EXPECT_NE(map.find("08000300"
                       "0000000d"),
              std::string::npos);
    EXPECT_NE(verdict.find("08000300"
                           "00000000"),
              std::string::npos);
}

TEST(EncodeNft, ABatchStandsBetweenItsMarksAndIsEmptyAgainWhenSealed) {
    Batch batch("t");
    EXPECT_TRUE(batch.empty());
    batch.add_table("x");
    batch.remove_table();
    EXPECT_FALSE(batch.empty());
    const size_t size = batch.size();
    const auto sealed = batch.seal();
    ASSERT_EQ(sealed.messages.size(), 4u);
    EXPECT_EQ(sealed.messages[0].type(), NFNL_MSG_BATCH_BEGIN);
    EXPECT_EQ(sealed.messages[1].type(), NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE);
    EXPECT_EQ(sealed.messages[3].type(), NFNL_MSG_BATCH_END);
    EXPECT_EQ(sealed.doings[2], "remove table");
    size_t sum = 0;
    for (const Message& each : sealed.messages) sum += each.size();
    EXPECT_EQ(size, sum);
    EXPECT_TRUE(batch.empty());
}

TEST(EncodeNft, ACommentIsCutWhereNftWouldRefuseIt) {
    Element element = pair_element();
    element.comment = std::string(1000, 'x');
    const std::vector<Element> one{element};
    std::vector<Element> read;
    ASSERT_TRUE(parse_elements(payload_of([&](Batch& to) { to.add_elements("m", one); }), read));
    EXPECT_EQ(read.at(0).comment, std::string(kMaxComment, 'x'));
}

TEST(EncodeNft, AnyNumberOfElementsArrivesWholeAndInOrderInMessagesThatFit) {
    for (const size_t count : {1u, 300u, 1000u}) {
        std::vector<Element> elements;
        for (size_t i = 0; i < count; ++i) {
            Element element = pair_element();
            element.key[0] = static_cast<uint8_t>(i);
            element.key[1] = static_cast<uint8_t>(i >> 8);
            element.comment = std::string(i % kMaxComment, 'c');
            elements.push_back(element);
        }
        Batch batch("t");
        batch.add_elements("m", elements);
        const auto sealed = batch.seal();
        std::vector<Element> read;
        for (size_t i = 1; i + 1 < sealed.messages.size(); ++i) {
            ASSERT_FALSE(sealed.messages[i].error());
            ASSERT_TRUE(parse_elements(sealed.messages[i].payload(), read));
        }
        EXPECT_EQ(read, elements);
        EXPECT_EQ(sealed.messages.size() > 3, count >= 1000);
    }
}

}  // namespace
}  // namespace cvlan::netlink::nft
