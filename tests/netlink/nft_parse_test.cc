// SPDX-License-Identifier: Apache-2.0
#include "netlink/nft_parse.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>

#include <functional>

#include "netlink/message.h"
#include "tests/support/nft_recorded.h"

namespace cvlan::netlink::nft {
namespace {

using tests::nft_recorded;

// A message of one element, its attributes put by `fill`.
Bytes message_of(const std::function<void(Message&)>& fill) {
    Message message(0, 0);
    message.put_header(nfgenmsg{NFPROTO_INET, NFNETLINK_V0, 0});
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS,
                 [&](Message& list) { list.nest(NFTA_LIST_ELEM, fill); });
    const ByteView payload = message.payload();
    return {payload.begin(), payload.end()};
}

void put_key(Message& to) {
    to.nest(NFTA_SET_ELEM_KEY, [](Message& key) {
        key.put_bytes(NFTA_DATA_VALUE, Bytes{1, 2, 3, 4});
    });
}

Code refused(const Bytes& payload) {
    std::vector<Element> elements;
    const auto parsed = parse_elements(payload, elements);
    EXPECT_FALSE(parsed);
    return parsed ? Code::Internal : parsed.error().code;
}

Element only_element(const Bytes& payload) {
    std::vector<Element> elements;
    const auto parsed = parse_elements(payload, elements);
    EXPECT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(elements.size(), 1u);
    return elements.empty() ? Element{} : elements[0];
}

TEST(ParseNft, ReadsAnElementOfAMapWithAllThatItHas) {
    const Element element = only_element(nft_recorded("dump_elements"));
    EXPECT_EQ(hex(element.key), "0a0100020a0900014e200000c0000000");
    EXPECT_EQ(hex(std::get<Bytes>(element.value)), "0a02000213880000010080ca");
    EXPECT_EQ(element.timeout, std::chrono::minutes(5));
    ASSERT_TRUE(element.expires_in);
    EXPECT_LE(*element.expires_in, std::chrono::minutes(5));
    EXPECT_GE(*element.expires_in, std::chrono::minutes(4));
    EXPECT_EQ(element.counter, (Counter{3, 4}));
    EXPECT_EQ(element.comment, "abc");
}

TEST(ParseNft, ReadsAMapOfVerdicts) {
    std::vector<Element> elements;
    ASSERT_TRUE(parse_elements(nft_recorded("dump_verdicts"), elements));
    const std::vector<Element> expected{
        {.key = {10, 1, 0, 3}, .value = Verdict{NF_DROP}},
        {.key = {10, 1, 0, 2}, .value = Verdict{NFT_JUMP, "other"}}};
    EXPECT_EQ(elements, expected);
}

TEST(ParseNft, ReadsTheCommentsOfTablesAndRules) {
    const auto table = parse_table(nft_recorded("dump_table"));
    ASSERT_TRUE(table) << table.error().message;
    EXPECT_EQ(table->name, "c");
    EXPECT_EQ(table->comment, "hello");
    const auto rule = parse_rule(nft_recorded("dump_rule"));
    ASSERT_TRUE(rule) << rule.error().message;
    EXPECT_EQ(rule->chain, "pre");
    EXPECT_EQ(rule->comment, "bind");
}

TEST(ParseNft, UserdataThatIsNoCommentReadsAsNone) {
    const Bytes cases[] = {
        {},
        {0},
        {0, 5, 'a'},          // longer than what there is
        {0, 0},               // no NUL
        {0, 2, 'a', 'b'},     // no NUL
        {0, 3, 'a', 0, 0},    // a NUL inside
        {7, 2, 'a', 0},       // another type
        {7, 1, 0, 0, 9, 'a'}  // another type, then one that is cut
    };
    for (const Bytes& userdata : cases) {
        const Element element = only_element(message_of([&](Message& to) {
            put_key(to);
            to.put_bytes(NFTA_SET_ELEM_USERDATA, userdata);
        }));
        EXPECT_EQ(element.comment, "") << hex(userdata);
    }
}

TEST(ParseNft, ACommentMayFollowOtherUserdataAndIsMadePrintable) {
    const Element element = only_element(message_of([](Message& to) {
        put_key(to);
        to.put_bytes(NFTA_SET_ELEM_USERDATA, Bytes{7, 1, 9, 0, 3, 'a', 0x1b, 0});
    }));
    EXPECT_EQ(element.comment, "a?");
}

TEST(ParseNft, OtherExpressionsOfAnElementAreSkipped) {
    const Element element = only_element(message_of([](Message& to) {
        put_key(to);
        to.nest(NFTA_SET_ELEM_EXPR, [](Message& expression) {
            expression.put_string(NFTA_EXPR_NAME, "limit");
            expression.nest(NFTA_EXPR_DATA, [](Message& inner) { inner.put(1, uint8_t{1}); });
        });
        to.put(200, uint8_t{1});
    }));
    EXPECT_EQ(element.counter, std::nullopt);
}

TEST(ParseNft, RefusesAttributesOfTheWrongSize) {
    const std::function<void(Message&)> cases[] = {
        [](Message& to) { to.put(NFTA_SET_ELEM_TIMEOUT, uint32_t{1}); },
        [](Message& to) { to.put(NFTA_SET_ELEM_EXPIRATION, uint8_t{1}); },
        [](Message& to) { to.put(NFTA_SET_ELEM_KEY, uint8_t{1}); },
        [](Message& to) { to.put(NFTA_SET_ELEM_DATA, uint8_t{1}); },
        [](Message& to) { to.put(NFTA_SET_ELEM_TIMEOUT, ~uint64_t{0}); },
        [](Message& to) {
            to.nest(NFTA_SET_ELEM_DATA, [](Message& data) {
                data.nest(NFTA_DATA_VERDICT,
                          [](Message& verdict) { verdict.put(NFTA_VERDICT_CODE, uint8_t{1}); });
            });
        },
        [](Message& to) {
            to.nest(NFTA_SET_ELEM_EXPR, [](Message& expression) {
                expression.put_string(NFTA_EXPR_NAME, "counter");
                expression.nest(NFTA_EXPR_DATA, [](Message& counter) {
                    counter.put(NFTA_COUNTER_BYTES, uint32_t{1});
                });
            });
        },
    };
    for (const auto& fill : cases) {
        EXPECT_EQ(refused(message_of([&](Message& to) {
                      put_key(to);
                      fill(to);
                  })),
                  Code::Malformed);
    }
}

TEST(ParseNft, RefusesAnElementWithoutAKeyAndAMessageWithoutAHeader) {
    EXPECT_EQ(refused(message_of([](Message&) {})), Code::Malformed);
    EXPECT_EQ(refused(Bytes{1, 2}), Code::Malformed);
    EXPECT_EQ(parse_table(Bytes{1}).error().code, Code::Malformed);
    EXPECT_EQ(parse_rule(Bytes{1}).error().code, Code::Malformed);
    const Bytes cut{NFPROTO_INET, 0, 0, 0, 3, 0, 1, 0};
    EXPECT_EQ(parse_table(cut).error().code, Code::Malformed);
    EXPECT_EQ(parse_rule(cut).error().code, Code::Malformed);
}

TEST(ParseNft, EveryCutOfARealDumpIsReadOrRefused) {
    const Bytes whole = nft_recorded("dump_elements");
    for (size_t size = 0; size < whole.size(); ++size) {
        std::vector<Element> elements;
        (void)parse_elements(ByteView(whole).first(size), elements);
        EXPECT_LE(elements.size(), 1u);
    }
}

}  // namespace
}  // namespace cvlan::netlink::nft
