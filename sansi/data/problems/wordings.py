"""The families' questions as people put them: each problem in some hundred thousand wordings, some of them Chinese.

A phrase has `[choices]` and `<slots>` (sansi/data/phrases.py). What the question is about (its operands) comes from the
gym's question, so a reworded problem has the same answer and the same worked solution.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from sansi.data.phrases import choose, fill
from sansi.data.problems.solvers import operands
from sansi.data.problems.task import Problem

# --- phrases: <e> an expression, <a> and <b> numbers, <n> a number, <w> a word or text, <l> a letter, <q> an equation

SUMS = (
    "<e>[| ][=| =|= ?| = ?|=?|?|]",
    "<e>[|?|.]",
    "<e> [equals|is|makes|gives|equals what|is what|is how much|is equal to|makes what][?|]",
    "[what is|what's|whats|what does|how much is|how much's|wat is|what would be|what will be|tell me what is] <e>[?|]",
    "[what is|what's] <e> [equal to|in total|altogether|as a number|]?",
    "what [does|do] <e> [equal|make|give|come to|add up to|amount to][?|]",
    "how much [does|do] <e> [make|give|come to][?|]",
    "[calculate|compute|evaluate|work out|solve|find|do|sum|figure out|determine|answer|simplify|calc][| :|:| this:] <e>[.|]",
    "[can|could|would|will] you [please |][calculate|compute|work out|solve|do|tell me|add up|find|figure out] <e>[ for me|][?|]",
    "[can|could] you tell me [what|how much] <e> [is|makes][?|]",
    "[tell me|give me|show me|i need|i want|i'd like] [the answer to |the result of |the value of |] <e>[.|]",
    "[what is |what's |find |calculate |give me |compute |]the [result|value|answer|sum|total|outcome|solution] [of|to|for] <e>[?|]",
    "[do you know|i wonder|any idea|guess] [what|how much] <e> is[?|]",
    "[sum|maths|math|question|q|problem|addition|arithmetic|exercise][:|] <e>[ =|=|?|]",
    "what [do i|do you|do we|would i] get [for|from|when i calculate|if i compute|out of] <e>[?|]",
    "[the answer to|answer to|result of|value of|result] <e>[?|]",
    "[my homework|the exercise|the question|a question|an easy one|a sum|here is a sum|the sum|this one][ is|:| says:] <e>[. what is it?|. answer?|?|]",
    "<e>[ - |, |; ][what is it|what is that|what's the answer|how much is that|the answer|your answer|result][?|]",
    "if i [add up|calculate|compute] <e>[,|] what do i get[?|]",
    "[how about|what about|and|and what about|and what is|try|now try] <e>[?|]",
    "[i want to know|i'd like to know|let me know|i need to know|tell me please] [what <e> is|how much <e> is|<e>][.|?|]",
    "[can|could] you do <e>[?|]",
    "[what's|what is] <e>[, please| please| in numbers|, quickly| exactly]?",
)
PLUS = (
    "[add|add up|sum|sum up|add together|total|please add|combine] <list>[.|]",
    "[what is |what's |find |calculate |compute |give me |tell me |]the [sum|total] of [the numbers |] <list>[?|.|]",
    "[sum|total] of <list>[?|]",
    "<list> [added together|together|in total|added up|added|summed]",
    "[what is|what's|how much is|how much are] <list> [together|added together|in total|summed up|added up][?|]",
    "what do you get [if|when] you add <list>[?|]",
    "how much do <list> [make|give|add up to][ together|][?|]",
    "[can|could] you [add|sum] <list>[ for me|][?|]",
)
PLUS_TWO = (
    "[add|what is] <a> [added ]to <b>[?|]",
    "add <a> [and|to|with|plus] <b>",
    "<a> added to <b>[?|]",
    "[what is|what's|calculate|] <a> [increased by|more than] <b>[?|]",
    "add <b> to <a>[.|]",
    "[what is|what's|] <a> and <b>[?|]",
)
MINUS_TWO = (
    "[subtract|take|deduct|substract|remove|take away] <b> from <a>[.|]",
    "take <b> away from <a>",
    "[what is|what's|how much is|calculate|] <a> [take away|less|decreased by|reduced by] <b>[?|]",
    "what [is left|remains] [if|when] [i|you] [take|subtract] <b> [away |]from <a>[?|]",
    "[what is |find |calculate |compute |]the difference [between|of] <a> and <b>[?|]",
    "<b> [subtracted|taken|taken away] from <a>[?|]",
)
_WHO = "[i|i|we|you|they]"
_SOMEONE = "[tom|anna|she|he|mary|john|a farmer|my sister|the shop|peter|sara|my friend|lisa|ben]"
_THINGS = "[apples|books|dollars|coins|balls|cats|pens|cookies|eggs|marbles|friends|sweets|stickers|cars|flowers|fish|candies|points|euros|birds]"
PLUS_STORIES = (
    f"{_WHO} [have|had|bought|got|saw] <a> {_THINGS}[ and|, then| and then|,] [buy|get|got|find|found|receive|win|bought] <b> more[.|,|] how many [do i have|do i have now|are there|in total|{_THINGS} now|altogether][?|]",
    f"if [i|you] have <a> {_THINGS} and [i |you |][get|buy|add|find] <b> [more|more {_THINGS}|others], how many do [i|you] have[ now|][?|]",
    f"{_SOMEONE} has <a> {_THINGS}[ and|, and|.] [gets|buys|finds|wins|receives|her brother has|his sister has] <b>[ more|][.|,|] how many [does she have|does he have|altogether|in total|are there|do they have][ now|][?|]",
    f"there are <a> {_THINGS} [in a box|on the table|in the room|on a tree|here][.|,| and] <b> more [come|arrive|are added|are put there][.|,] how many [are there|in total|now][ now|][?|]",
    f"<a> {_THINGS} [and|plus] <b> {_THINGS}[:|,|] how many [in total|altogether|in all|are that|together][?|]",
)
MINUS_STORIES = (
    f"{_WHO} [have|had|bought|got] <a> {_THINGS}[ and|, then| and then|,|.] [eat|lose|give away|lost|ate|gave away|sell|sold|gave my friend|spend|spent|give him] <b>[ of them|][.|,|] how many [do i have|are left|do i have left|remain|{_THINGS} are left|left][?|]",
    f"if [i|you] have <a> {_THINGS} and [i |you |][eat|lose|give away|sell|drop] <b>[ of them|], how many [do i have left|are left|remain|do you have][?|]",
    f"{_SOMEONE} [has|had] <a> {_THINGS}[ and|, and|.] [gives|loses|sells|eats|gave|lost|spends] <b>[ away| of them|][.|,|] how many [are left|does she have|does he have|does she have left|remain][ now|][?|]",
    f"there [are|were] <a> {_THINGS} [in a box|on the table|in the room|on a tree|here][.|,| and] <b> [leave|are taken|fly away|are sold|fall down][.|,] how many [are left|remain|are there now|stay][?|]",
)
PLUS_STORIES_ZH = (
    "[小明|妈妈|我|小红|老师|他][有|买了|原来有]<a>[个苹果|颗糖|本书|个球|块钱|只猫|支笔][，|。][又买了|又得到|又捡到|妈妈又给了|再加]<b>[个|颗|本|]，[一共|现在][有|]几[个|颗|本|][？|?|]",
    "[树上|盒子里|教室里]有<a>[只鸟|个球|个人]，又来了<b>[只|个]，[一共|现在]有[多少|几][只|个][？|]",
)
MINUS_STORIES_ZH = (
    "[小明|妈妈|我|小红|老师|他][有|买了|原来有]<a>[个苹果|颗糖|本书|个球|块钱|只猫|支笔][，|。][吃了|给了别人|丢了|送给朋友|卖了|用掉]<b>[个|颗|本|]，[还剩|还有|剩下]几[个|颗|本|][？|?|]",
    "[树上|盒子里|教室里]有<a>[只鸟|个球|个人]，[飞走|拿走|走]了<b>[只|个]，还剩[多少|几][只|个][？|]",
)
STORY_SHARE = 0.12
SUMS_ZH = (
    "<e>[等于几|等于多少|是多少|得多少|得几|是几|一共是多少|结果是多少|等于|是啥|等于什么|的结果][？|?|呢？|。|]",
    "[计算|请计算|算|算一下|请算一下|算算|帮我算|帮我算一下|帮忙算下|请帮我计算|能帮我算一下|求|求解|口算|快速计算|试算][：|:| |一下|]<e>[。|=|等于多少|的值|的结果|吗？|]",
    "[请问|问一下|我想知道|告诉我|请告诉我|你知道|那么|那|再问一个：|问题：|题目：|数学题：]<e>[等于几|等于多少|是多少|的答案|得多少][？|吗？|]",
    "<e>[=？|=?|＝？|＝|=| = ？|等于？]",
    "[如果|要是]<e>[，|]那[等于|是]多少[？|]",
)
PLUS_ZH = (
    "[求|计算|]<a>[和|与|跟]<b>的[和|总和][是多少？|。|等于几|]",
    "<a>[和|与|跟]<b>[加起来|相加|加在一起][是多少？|等于几？|得多少|]",
    "把<a>[和|与]<b>[加起来|相加]",
    "<a>[再加|加上|加][上|]<b>[是多少|等于几][？|]",
)
MINUS_ZH = (
    "[求|计算|]<a>[和|与]<b>的差[是多少？|。|]",
    "[从|]<a>[里|中][减去|去掉|拿走]<b>[是多少|剩几|还剩多少][？|]",
    "<a>[减去|减掉|减]<b>[是多少|等于几|还剩几][？|]",
    "<a>比<b>[大多少|多几|多多少][？|]",
)
ONES = "[1 bits|1-bits|one bits|ones|1s|1's|set bits|1 digits|bits equal to 1|bits that are 1|bits set to 1|bits that are set]"
BINARY = "[binary|the binary form of|binary form|the binary representation|the binary representation of|base 2|base two|base-2]"
BITS = (
    f"[binary of|binary|the binary of] <n>[: |, | - ]how many {ONES}[?|]",
    f"[count|number of|how many] {ONES} in [bin(<n>)|binary <n>|<n> (binary)|the binary number of <n>][?|]",
    f"how many {ONES} [are there |are |] in [the number |] <n>[ in binary| written in binary| in base 2|][?|]",
    f"how many {ONES} are [there |]in the [binary|binary representation|binary form|binary expansion|base 2 form|base-2 representation|bits] of [the number |]<n>[?|]",
    f"how many {ONES} does [the number |the binary form of |]<n> have[ in binary| in base 2|][?|]",
    f"how many {ONES} does <n> [contain|have] [in binary|when written in binary|in its binary form][?|]",
    f"[count|count up|find|give me|tell me|what is|calculate|determine] the [number of |] {ONES} [in|of] [the binary form of |binary |the number |]<n>[ in binary|][.|?|]",
    f"count [the |all |]{ONES} [in|of] <n>[ in binary| written in binary|]",
    "[popcount|popcnt|bitcount|bit_count|count_ones|hamming weight|population count|bit count][(<n>)| of <n>| <n>| of the number <n>| for <n>| = ? for <n>][?|]",
    "[what is |what's |compute |calculate |find |]the [popcount|hamming weight|population count|number of ones|number of 1 bits|number of set bits|bit count] of <n>[ in binary|][?|]",
    "bin(<n>).count([\"1\"|'1'])",
    f"[if|when] [i |you |] write <n> in binary[,|] how many {ONES} [are there|do i get|are in it|does it have|do i see][?|]",
    f"[write|convert|take|put] <n> [in|to|in the form of] binary[ and count| and tell me how many|: how many|, then count|; how many] [the |]{ONES}[?|]",
    f"<n> in binary[ has| contains|: |, ][how many|how many of the] {ONES}[?|]",
    f"<n>: how many {ONES}[ in binary|][?|]",
    f"number of {ONES} in <n>[ in binary|][?|]",
    f"in [binary|base 2|base two], how many {ONES} does <n> [have|contain][?|]",
)
BITS_ZH = (
    "<n>的二进制[表示|形式|]里有[几|多少]个[1|一][？|]",
    "[数一数|请数一下|求|计算]<n>的二进制[中|里]1的个数[。|]",
    "<n>[用|写成]二进制[写出来|表示|以后|]有[几个|多少个]1[？|]",
    "二进制的<n>有几个1[？|]",
)
GCD_NAME = (
    "[gcd|GCD|greatest common divisor|greatest common factor|gcf|GCF|highest common factor|hcf|HCF|largest common divisor|biggest common divisor"
    "|largest common factor|biggest common factor|greatest common denominator]"
)
GCDS = (
    f"[what is|what's|whats|find|compute|calculate|give me|tell me|determine|work out|i need|get] the {GCD_NAME} [of|for|between] <pair>[?|.|]",
    f"{GCD_NAME} [of|for|between] <pair>[?| = ?| =|]",
    "[gcd|GCD|hcf|gcf|math.gcd|Gcd]([<a>, <b>|<a>,<b>|<a> , <b>])[?| = ?| =|=|]",
    f"{GCD_NAME}[: | ]<pair>[?|]",
    "[what is |what's |find |which is |tell me |]the [largest|biggest|greatest|highest] [number|integer|whole number] that [divides|goes into|fits into|evenly divides] [both |]<pair>[?|]",
    "[what is |what's |]the [largest|biggest|greatest] number [by which you can divide |that both ]<pair>[ can be divided by|][?|]",
    f"[can|could] you [please |]find the {GCD_NAME} of <pair>[ for me|][?|]",
    "[for|given] <pair>[,|:] [what is|what's|find|give me] the [gcd|greatest common divisor|highest common factor|greatest common factor][?|]",
    "what [do|is the greatest divisor that] <pair> [have in common as the greatest divisor|share][?|]",
    f"<pair>[:|,| -] {GCD_NAME}[?|]",
    "[biggest|largest|greatest] [common |shared |]divisor of <pair>[?|]",
)
GCDS_ZH = (
    "<a>[和|与|跟|、]<b>的最大公约数[是多少|是几|是什么|][？|]",
    "[求|计算|请求出|请问|找出]<a>[和|与|、]<b>的最大公[约数|因数][。|？|是多少|]",
    "最大公约数[：|:| ]<a>[，|,|和]<b>",
)
LETTERS = (
    "[are there any|how many] <l> in <w>[?|, how many?| and how many?]",
    "[the letter |]<l>[:|,| -] how [often|many times] in <w>[?|]",
    "how many [times does |times ][the letter |][<l>|<l>] [appear|occur|come up|show up|appears|occurs|is found] in [the word |the text |the phrase |]<w>[?|]",
    "how many times [is|can you find|do you see|do you find|do i see] [the letter |]<l> in [the word |the text |]<w>[?|]",
    "how [often|frequently] [does|is] [the letter |]<l> [appear |occur |come |found |] in [the word |the text |the sentence |]<w>[?|]",
    "how many [letter |letters |][<l>|<l>s|<l>'s|<l>s|<l>'s] [are there in|are in|are there|in|there are in|do you see in|can you count in|do you count in|exist in] [the word |the text |the phrase |the sentence |]<w>[?|]",
    "how many [letter |letters |][<l>|<l>s|<l>'s] does [the word |the text |the phrase |]<w> [have|contain|include][?|]",
    "[count|count up|find|please count|tell me|give me] [the |all the |the number of |how many |][letter |letters |][<l>|<l>s|<l>'s] in [the word |the text |]<w>[.|]",
    "count [how many times |how often |]the letter <l> [appears |occurs |is |] in [the word |the text |]<w>",
    "[what is |what's |]the [number|count] of [the letter |letter |letters |][<l>|<l>s|<l>'s] in [the word |the text |]<w>[?|]",
    "[number|count|amount] of [times |][<l>|<l>s|<l>'s] [appears |] in <w>[?|]",
    "in [the word |the text |]<w>[,|] how many [times is there an |letters |][<l>|<l>s|<l>'s] [are there|do you see|can you find|does it have][?|]",
    "in [the word |]<w>[,|] how [often|many times] does [the letter |]<l> [appear|occur|come][?|]",
    "<w>[: |, ]how many [<l>|<l>s|<l>'s][?| are there?|]",
    "[does|how many times does] <w> [contain|have] [the letter |]<l>[?|, and how many times?| how many times?]",
    "<l> in <w>[: how many|, how many times][?|]",
    "letter <l> in <w>[:|,] [count|how many|how often][?|]",
)
LETTERS_ZH = (
    "<w>[里|中|里面|这个词里|这个单词里]有[几个|多少个]<l>[？|]",
    "[数一数|请数|数|请问]<w>[里|中][有几个|的|有多少个]<l>[？|。|]",
    "字母<l>在<w>[里|中]出现[了|]几次[？|]",
)
EQUATIONS = (
    "<q> [solve|solve it|solve this|solve for <v>|please solve][.|]",
    "<v>=? [if|when|for|,] <q>",
    "[what number|which number] is <v> [if|when|in] <q>[?|]",
    "[solve|please solve|solve the equation|solve this|solve this equation|work out|help me solve|i need to solve|resolve|can you solve][: | : | ]<q>[.|?|]",
    "[solve|please solve|can you solve] <q> [for|to find] <v>[?|.|]",
    "solve for <v>[:|,|] [if |when |where |given |] <q>",
    "[find|calculate|compute|determine|get|work out|tell me|give me|what is|what's|whats] [the value of |] <v>[:| if| when| where| in| given| given that| so that| for][ the equation|] <q>[?|.|]",
    "[what is|what's|find|tell me] <v>[?|:|] <q>",
    "[what is|what's] the value of <v> [if|when|in|for|given] <q>[?|]",
    "<q>[, | ; |. | ][what is|what's|find|solve for|calculate|determine|whats|give me|then] <v>[?|.|]",
    "<q>[, | ]<v>[ =|=] ?",
    "<q>[, | ]<v>[ is|?| = ?| =|=?]",
    "<q>",
    "[if|given|given that|suppose|let|assume|when|knowing that] <q>[,|][ then|] [what is|what's|find|what does|calculate|how much is] <v>[?|]",
    "[for which|for what|which|what] [value of |number |] <v> [is|makes|satisfies|solves|does] <q>[ true|][?|]",
    "[equation|algebra|exercise|problem|homework|math|q][: |:\n]<q>[. <v>?| solve| find <v>|]",
    "<v> if <q>[?|]",
    "[can|could] you [find|solve for|tell me|work out] <v>[ if| when| in|:] <q>[?|]",
    "[the solution of|solution to|solution of|answer to|the root of] <q>[?|]",
    "i have <q>[. |, ][what is|how do i find|find] <v>[?|]",
)
EQUATIONS_ZH = (
    "[解方程|解|求解|请解方程|帮我解方程][：|:| |]<q>[。|]",
    "[求|计算|求出][ |]<v>[：|:|，| ]<q>",
    "<q>[，|, |。]<v>[等于几|是多少|等于多少|=？][？|]",
    "[如果|已知|设|若]<q>[，|]<v>[是多少|等于几|=？][？|]",
)
REVERSALS = (
    "[the spelling of|spelling of] <w> [backwards|backward|in reverse]",
    "[the |][backward|backwards|reverse|reversed] [spelling|version|form] of [the word |]<w>[?|]",
    "[backwards|backward|reversed|in reverse]: <w>",
    "[write|read|spell] <w> from [the last letter to the first|the back|the end to the start|right to left]",
    "[spell|write|type|say|print|show|give me|put|spell out|read] [the word |] <w> [backward|backwards|in reverse|reversed|in reverse order|from back to front|back to front|from the end|the other way round|from right to left|backwords]",
    "[reverse|invert|flip|mirror|turn around|turn round|backwards|backward|reversed] [the word |the letters of |the letters in |the string |the spelling of |] <w>[.|]",
    "[what is|what's|whats|how is|what would be|what does] [the word |] <w> [backwards|backward|spelled backwards|spelled backward|spelt backwards|in reverse|reversed|written backwards|written in reverse|look like backwards|read backwards][?|]",
    "<w>[, | ][backwards|backward|in reverse|reversed|spelled backwards|spelled backward|spelt backwards|written backwards|but backwards|from the back][?|]",
    "how [do you|do i|would you|to|can i|does one] [spell|write|say|type] [the word |] <w> [backwards|backward|in reverse|from the end][?|]",
    "[can|could|would|will] you [please |][spell|write|say|reverse|flip|turn around|read] [the word |] <w>[ backwards| backward| in reverse|  backwards for me][?|]",
    "[reverse|backwards|backward|spell backwards|spell backward|reversed|in reverse|mirror|flip][: | : |:]<w>",
    "[i want|i need|i would like|i'd like|give me|tell me|show me] <w> [spelled |written |][backwards|backward|in reverse|reversed]",
    "[the reverse of|reverse of|the opposite spelling of|the reversed form of|what is the reverse of] <w>[?|]",
    "spell backwards the word <w>",
    "reverse [this word|this string|the following word|this]: <w>",
    "spell this [word |]backwards: <w>",
    "spell this word in reverse[:|,] <w>",
)
REVERSALS_ZH = (
    "[把|请把|将|请将]<w>[倒过来|反过来|倒着|反着][写|拼|拼写|拼出来|写出来|念]",
    "[倒着|反着|倒序][拼|写|拼写][：| |一下]<w>",
    "<w>[倒过来|反过来|倒着][怎么写|怎么拼|是什么|拼是什么][？|]",
    "[反转|颠倒]单词[：| |]<w>",
)

PREFIXES = (
    "[hello|hi|hey][,|!| there,] [how are you|nice to meet you|how's it going|i have a question|can you help me][?|.|!] ",
    *(
        "hello[!|,|. ] ",
        "hi[!|,|. | there, | there! ] ",
        "hey[,|!| there,] ",
        "good [morning|evening|day|afternoon][!|,|.] ",
        "please[,|] ",
    ),
    *(
        "ok[,|.|] ",
        "okay[,|] ",
        "now[:|,|] ",
        "next[:| one:|] ",
        "and[,|] ",
        "so[,|] ",
        "well[,|] ",
        "thanks[!|.|,] ",
        "thank you[!|.|,] ",
    ),
    *(
        "another [one|question]: ",
        "quick [question|one]: ",
        "question: ",
        "one more[:| question:] ",
        "i have a question[:|.] ",
        "my question[:| is:] ",
    ),
    *(
        "hey nano[,|!] ",
        "excuse me[,|] ",
        "sorry[,|] ",
        "let's see[:|,] ",
        "try this: ",
        "here is one: ",
        "hmm[,|] ",
        "yo[,|] ",
        "dear model[,|] ",
    ),
    *(
        "nice to meet you[!|.] ",
        "great[!|.|,] ",
        "cool[!|.|,] ",
        "help me[:|!|] ",
        "can you help me[?|:] ",
        "test: ",
        "\n",
        " ",
        "1. ",
        "> ",
    ),
)
SUFFIXES = (
    *(
        " please",
        ", please",
        " pls",
        " thanks",
        ", thanks!",
        " thank you",
        " thx",
        "?",
        "??",
        "?!",
        "!",
        ".",
        " ?",
        "\n",
        " ",
        "..",
        " ok?",
    ),
    *(
        " [answer|reply] with [the|a] number[ only|]",
        " [just|only] the [answer|result][, please|.|]",
        " [give|show] me [the answer|only the answer]",
    ),
    *(
        " [do you know|can you do that|can you|tell me|i need to know|for my homework|quickly|asap|be quick][?|.|]",
        " :)",
        " :-)",
        " 🙂",
        " 🤔",
    ),
)
PREFIXES_ZH = (
    "你好[，|！|。|,]",
    "您好[，|！]",
    "请问[，|]",
    "请[，|]",
    "那[么|]",
    "好的[，|]",
    "谢谢[！|，|。]",
    "再来一个[：|，]",
    "嗨[，|！]",
    "问一下[，|：]",
)
SUFFIXES_ZH = ("[，|]谢谢[！|。|]", "？", "?", "。", "！", "[，|]快点", "[，|]谢谢你", "呀", "啊")


# --- operands as people write them ------------------------------------------------------------------------------------

UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
DIGITS_ZH = "零一二三四五六七八九"


def number_words(n: int) -> str:
    """A number from 0 to 99 in English words."""
    if n < 20:
        return UNITS[n]
    return TENS[n // 10 - 2] + (f"-{UNITS[n % 10]}" if n % 10 else "")


def chinese_number(n: int) -> str:
    """A number from 0 to 99 in Chinese numerals."""
    if n < 10:
        return DIGITS_ZH[n]
    tens = "十" if n < 20 else f"{DIGITS_ZH[n // 10]}十"
    return tens + (DIGITS_ZH[n % 10] if n % 10 else "")


def _quoted(text: str, rng: random.Random) -> str:
    style = rng.choice(("{}", "{}", "{}", '"{}"', "'{}'", "“{}”", "`{}`"))
    return style.format(text)


def _terms(expression: str) -> list[tuple[str, int]]:
    """Sign and number of each term; the first has "+"."""
    compact = expression.replace(" ", "")
    return [(sign or "+", int(n)) for sign, n in re.findall(r"([+-]?)(\d+)", compact)]


def _expression(terms: list[tuple[str, int]], rng: random.Random, chinese: bool) -> str:
    """A sum in symbols or in words, its spaces as they come."""
    plus, minus, number = _style(terms, rng, chinese)
    parts = [number(terms[0][1])]
    parts += [f"{plus if sign == '+' else minus}{number(n)}" for sign, n in terms[1:]]
    return "".join(parts)


def _style(terms: list[tuple[str, int]], rng: random.Random, chinese: bool) -> tuple[str, str, Callable[[int], str]]:
    kind = rng.random()
    small = len(terms) <= 3
    if chinese and kind < 0.25 and small:
        return "加", "减", chinese_number
    if chinese and kind < 0.55:
        return rng.choice((("加", "减", str), ("加上", "减去", str), (" 加 ", " 减 ", str)))
    if not chinese and kind < 0.12 and small:  # all in words, or some of the numbers, or the sign alone
        words = rng.choice((1.0, 1.0, 0.5))
        plus, minus = rng.choice(((" plus ", " minus "), (" plus ", " minus "), (" + ", " - "), (" and ", " minus ")))
        return plus, minus, lambda n: number_words(n) if rng.random() < words else str(n)
    if not chinese and kind < 0.25:
        return rng.choice(((" plus ", " minus ", str), (" and ", " minus ", str), (" plus ", " take away ", str)))
    gap = rng.choice(("", "", " ", " ", " ", "  "))
    odd = rng.random() < 0.08
    plus = f"{gap}{'＋' if odd and chinese else '+'}{'' if odd else gap}"
    minus = f"{gap}{rng.choice('−–-') if odd else '-'}{'' if odd else gap}"
    return plus, minus, str


def _listed(numbers: list[str], rng: random.Random) -> str:
    joint = (
        rng.choice((" and ", " and ", " & ", ", ", " with "))
        if len(numbers) == 2
        else rng.choice((" and ", ", ", ", and "))
    )
    between = rng.choice((", ", ", ", " and "))
    return between.join(numbers[:-1]) + joint + numbers[-1]


# --- a phrase and its slots, family by family -------------------------------------------------------------------------


def _sum(rng: random.Random, chinese: bool, expression: str) -> tuple[str, dict[str, str]]:
    terms = _terms(expression)
    signs = {sign for sign, _ in terms[1:]}
    number = chinese_number if chinese and rng.random() < 0.2 else str
    if not chinese and rng.random() < 0.08:
        number = number_words
    values = {"e": _expression(terms, rng, chinese), "a": number(terms[0][1]), "b": number(terms[1][1])}
    phrases: Sequence[str] = SUMS_ZH if chinese else SUMS
    if len(terms) == 2 and rng.random() < STORY_SHARE and (signs == {"+"} or terms[0][1] >= terms[1][1]):
        if signs == {"+"}:
            phrases = PLUS_STORIES_ZH if chinese else PLUS_STORIES
        else:
            phrases = MINUS_STORIES_ZH if chinese else MINUS_STORIES
    elif rng.random() < 0.4:
        if len(terms) == 2 and signs == {"+"}:
            phrases = PLUS_ZH if chinese else rng.choice((PLUS, PLUS_TWO))
        elif len(terms) == 2 and (not chinese or terms[0][1] >= terms[1][1]):
            phrases = MINUS_ZH if chinese else MINUS_TWO
        elif signs == {"+"} and not chinese:
            phrases = PLUS
    if phrases is PLUS:
        values["list"] = _listed([str(n) for _, n in terms], rng)
    phrase = rng.choice(phrases)
    if "difference" in phrase and terms[0][1] < terms[1][1]:  # people mean the larger less the smaller
        phrase = "<a> minus <b>"
    return phrase, values


def _bits(rng: random.Random, chinese: bool, number: str) -> tuple[str, dict[str, str]]:
    written = f"{number[0]},{number[1:]}" if len(number) == 4 and rng.random() < 0.1 else number
    return rng.choice(BITS_ZH if chinese else BITS), {"n": written}


def _gcd(rng: random.Random, chinese: bool, a: str, b: str) -> tuple[str, dict[str, str]]:
    pair = rng.choice(
        (f"{a} and {b}", f"{a} and {b}", f"{a}, {b}", f"{a},{b}", f"{a} & {b}", f"{a} {b}", f"({a}, {b})")
    )
    return rng.choice(GCDS_ZH if chinese else GCDS), {"a": a, "b": b, "pair": pair}


def _letters(rng: random.Random, chinese: bool, letter: str, text: str) -> tuple[str, dict[str, str]]:
    shown = letter.upper() if rng.random() < 0.15 else letter
    shown = _quoted(shown, rng)
    if " " in text and rng.random() < 0.7:
        text = rng.choice(('"{}"', "'{}'", "“{}”")).format(text)
    elif " " not in text:
        text = _quoted(text, rng)
    return rng.choice(LETTERS_ZH if chinese else LETTERS), {"l": shown, "w": text}


def _equation(rng: random.Random, chinese: bool, left: str, right: str) -> tuple[str, dict[str, str]]:
    found = re.search("[a-z]", left)
    assert found
    equation = f"{left} = {right}"
    if rng.random() < 0.7:
        equation = equation.replace("*", "")
    if rng.random() < 0.4:
        equation = equation.replace(" ", "")
    return rng.choice(EQUATIONS_ZH if chinese else EQUATIONS), {"q": equation, "v": found[0]}


def _reversal(rng: random.Random, chinese: bool, word: str) -> tuple[str, dict[str, str]]:
    return rng.choice(REVERSALS_ZH if chinese else REVERSALS), {"w": _quoted(word, rng)}


_WORDINGS: dict[str, Callable[..., tuple[str, dict[str, str]]]] = {
    "chain_sum": _sum,
    "count_bits": _bits,
    "gcd": _gcd,
    "letter_counting": _letters,
    "simple_equations": _equation,
    "spell_backward": _reversal,
}
CHINESE_SHARE = {"chain_sum": 0.3}
OTHER_CHINESE_SHARE = 0.08


def reword(problem: Problem, rng: random.Random) -> Problem:
    """The problem in one of the wordings of its family."""
    chinese = rng.random() < CHINESE_SHARE.get(problem.task, OTHER_CHINESE_SHARE)
    facts = operands(problem.task, problem.question)
    phrase, values = _WORDINGS[problem.task](rng, chinese, *facts)
    return replace(problem, wording=dress(choose(phrase, rng), values, rng, chinese))


def dress(phrase: str, values: dict[str, str], rng: random.Random, chinese: bool) -> str:
    """The phrase with its operands, and around it what people add: a greeting, a please, capitals, too many spaces."""
    if rng.random() < 0.22:
        phrase = choose(rng.choice(PREFIXES_ZH if chinese else PREFIXES), rng) + phrase
    if rng.random() < 0.22:
        phrase += choose(rng.choice(SUFFIXES_ZH if chinese else SUFFIXES), rng)
    style = rng.random()
    if style < 0.45:
        phrase = phrase[:1].upper() + phrase[1:]
    elif style < 0.5:
        phrase = _upper(phrase)
    if rng.random() < 0.06:
        phrase = typo(phrase, rng)
    text = fill(phrase, values)
    return text if rng.random() < 0.1 else re.sub(" {2,}", " ", text)


def _upper(phrase: str) -> str:
    """In capitals, but for the names of slots."""
    return "".join(part if part.startswith("<") else part.upper() for part in re.split(r"(<\w+>)", phrase))


def typo(phrase: str, rng: random.Random) -> str:
    """One letter of the words left out, doubled or swapped with the next; slots stay."""
    places = [
        i
        for found in re.finditer(r"<\w+>|[A-Za-z]{5,}", phrase)
        if found[0][0] != "<"
        for i in range(found.start() + 1, found.end() - 1)
    ]
    if not places:
        return phrase
    at, kind = rng.choice(places), rng.randrange(3)
    new = ("", phrase[at] * 2, phrase[at + 1] + phrase[at])[kind]
    return phrase[:at] + new + phrase[at + (2 if kind == 2 else 1) :]
