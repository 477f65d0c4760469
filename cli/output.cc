// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/bytes.h"

namespace cvlan::cli {

namespace {

// Columns that the text takes, when each code point takes one.
size_t width(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Text that YAML reads as a string without quotes, under its 1.1 rules too ("no", "on", "1e3").
bool is_plain_yaml(const std::string& text) {
    static const char* const kWords[] = {"y",    "n",     "yes",  "no",  "on", "off",
                                         "true", "false", "null", "nan", "inf"};
    if (text.empty() || !std::isalpha(static_cast<unsigned char>(text.front()))) return false;
    std::string lower;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (!std::isalnum(byte) && !strchr("_-./", c)) return false;
        lower += static_cast<char>(std::tolower(byte));
    }
    return std::find(std::begin(kWords), std::end(kWords), lower) == std::end(kWords);
}

void emit(YAML::Emitter& out, const YAML::Node& node) {
    if (node.IsMap()) {
        out << YAML::BeginMap;
        for (const auto& entry : node) {
            out << YAML::Key << entry.first.as<std::string>() << YAML::Value;
            emit(out, entry.second);
        }
        out << YAML::EndMap;
    } else if (node.IsSequence()) {
        if (node.size() == 0) out << YAML::Flow;
        out << YAML::BeginSeq;
        for (const auto& item : node) emit(out, item);
        out << YAML::EndSeq;
    } else if (node.IsNull()) {
        out << YAML::Null;
    } else if (node.Tag() == "!" && !is_plain_yaml(node.Scalar())) {
        // It stood in quotes: a string that must stay one.
        out << YAML::DoubleQuoted << node.Scalar();
    } else {
        out << node.Scalar();
    }
}

std::string yaml_of(const std::string& json) {
    YAML::Emitter out;
    emit(out, YAML::Load(json));
    return out.c_str();
}

}  // namespace

std::string safe_json(std::string_view json) {
    std::string safe;
    for (size_t at = 0; at < json.size(); ++at) {
        const auto byte = [&](size_t n) {
            return at + n < json.size() ? static_cast<unsigned char>(json[at + n]) : 0u;
        };
        const unsigned two = (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
        const unsigned three = (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
        const bool is_c1 = byte(0) == 0xC2 && two < 0xA0;
        const bool is_mark = byte(0) == 0xD8 && two == 0x061C;
        const bool is_bidi = (byte(0) & 0xF0) == 0xE0 && (three == 0x200E || three == 0x200F ||
                                                          (three >= 0x2028 && three <= 0x202E) ||
                                                          (three >= 0x2066 && three <= 0x2069));
        if (byte(0) == 0x7F) {
            safe += "\\u007f";
        } else if (is_c1 || is_mark) {
            safe += fmt::format("\\u{:04x}", two);
            at += 1;
        } else if (is_bidi) {
            safe += fmt::format("\\u{:04x}", three);
            at += 2;
        } else {
            safe += json[at];
        }
    }
    return safe;
}

bool print_document(const Args& args, Io& io, const std::string& json) {
    if (args.output == Output::Json)
        io.out << safe_json(json) << '\n';
    else if (args.output == Output::Yaml)
        io.out << safe_json(yaml_of(json)) << '\n';
    else
        return false;
    return true;
}

void print_table(Io& io, const Row& header, const std::vector<Row>& rows) {
    std::vector<Row> lines;
    if (!header.empty()) lines.push_back(header);
    for (const Row& row : rows) {
        Row& line = lines.emplace_back();
        for (const std::string& cell : row) line.push_back(cell.empty() ? "-" : printable(cell));
    }
    std::vector<size_t> widths;
    for (const Row& line : lines) {
        widths.resize(std::max(widths.size(), line.size()));
        for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
    }
    for (const Row& line : lines) {
        std::string text;
        for (size_t i = 0; i < line.size(); ++i) {
            text += line[i];
            if (i + 1 < line.size()) text.append(widths[i] - width(line[i]) + 2, ' ');
        }
        io.out << text << '\n';
    }
}

void print_fields(Io& io, const std::vector<std::pair<std::string, std::string>>& fields) {
    size_t widest = 0;
    for (const auto& [name, value] : fields)
        if (!value.empty()) widest = std::max(widest, name.size());
    for (const auto& [name, value] : fields)
        if (!value.empty()) io.out << fmt::format("{:<{}}  {}\n", name, widest, printable(value));
}

std::string join(const std::vector<std::string>& texts, std::string_view between) {
    return fmt::format("{}", fmt::join(texts, between));
}

std::string time_text(const std::optional<WallTime>& time) {
    if (!time) return "-";
    std::string text = rfc3339(*time);  // 2026-11-20T19:54:00.000Z
    text.replace(text.find('T'), 1, " ");
    return text.substr(0, text.find('.')) + "Z";
}

std::string span_text(std::chrono::seconds span) {
    const int64_t seconds = std::max<int64_t>(span.count(), 0);
    if (seconds < 120) return fmt::format("{} s", seconds);
    if (seconds < 2 * 3600) return fmt::format("{} min", seconds / 60);
    if (seconds < 2 * 86400) return fmt::format("{} h", seconds / 3600);
    return fmt::format("{} d", seconds / 86400);
}

std::string bytes_text(int64_t bytes) {
    if (bytes < 1024) return fmt::format("{} B", bytes);
    auto amount = static_cast<double>(bytes);
    const char* unit = "";
    for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
        if (amount < 1024) break;
        amount /= 1024;
        unit = next;
    }
    return fmt::format("{:.1f} {}", amount, unit);
}

}  // namespace cvlan::cli
