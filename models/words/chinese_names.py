"""Chinese names of people in a text, by how they are made: no list holds them all, and no blank stands around them.

A family name and one or two characters that given names are made of; or three and more characters that foreign names
are written with. What the training texts hold more than once in such a place is a word of theirs and no name.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

_FAMILY_OF_TWO: Final = "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|夏侯|端木|百里|南宫|轩辕"
# The most frequent ones, but those that are as often another word, such as 和, 时, 来, 那, 高, 万, 于, 方, 安.
_FAMILY: Final = (
    "王李张刘陈杨黄吴赵周徐孙马朱胡林郭何罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁余叶蒋杜苏魏程吕丁沈姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱侯邹熊孟秦江阎薛尹段雷黎史龙陶贺顾毛郝龚邵钱严赖覃洪武莫孔汤温康施"
    "文牛樊葛邢齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷"
    "晏席卫米柏宗瞿桂佟臧闵仇侬"
)
_GIVEN: Final = (
    "芳娜敏静秀英丽艳娟霞兰燕玲桂丹萍红玉梅莉珍婷凤晶颖雪慧倩琴畅云洁柳淑春海冬荣莹华琳欣香芝瑜璐伟强磊洋勇军杰涛超明刚平辉鹏飞鑫波斌宇浩凯健俊帆旭宁龙林佳阳建亮成峰国晨瑞志兵雷东博彬坤岩杨文利楠花"
    "然雨桐梓涵思琪晓怡轩诺诗熙子萱语宸睿泽豪毅伦伊蕾薇蓉菲菁岚妍妮婉儿美善彤悦欢馨媛嘉雯雅倪露瑶璇琦珊珠环翠芬芸茜莲菊菡蓓露霏青黛巧月嫣仪贞贤淼祥福贵财富康生昌盛兴旺发达德仁义礼信忠孝诚良善庆永长胜利军民邦安"
    "定武威震雄虎豹彪山川江河湖松柏树森栋梁材宝金银铜铁鸿鹤翔腾跃进升朝晖昊天乐欣奇才俊彦哲翰墨书韬略谋智聪颖敬谦恭宽厚道远启承继业立家振维先根土水火木炎煜烨炜焕灿炳光耀昭昱晟晗景星辰岳嵩巍峻逸尘寒秋夏新心怀可若如依"
    "梦灵韵曼舒静安宜家凝采纯希一丁冰影紫绿蓝白素清澜沁汐沛沐洛津润渊源滨潇澄"
)
_ALONE: Final = "伟芳娜敏静丽强磊洋勇艳杰娟涛超霞平刚萍红辉鹏玲婷俊军琳慧雪莹莉倩健"  # given names of one character
_FOREIGN: Final = (
    "阿艾爱安奥巴贝比博卜布查达戴德登迪丁杜多尔法菲费弗福戈格古瓜哈汉赫胡霍吉加佳贾杰卡凯坎康柯科克肯库拉莱兰劳勒雷里丽利莉列林琳隆卢鲁露伦罗洛玛马迈麦曼梅门蒙米密敏莫默姆穆纳娜奈内尼妮努诺欧帕派佩皮普奇乔琼切琴让热"
    "日瑞若萨塞桑瑟森沙莎珊史什斯丝苏索所塔泰坦汤特提亭托瓦万旺威韦维温沃乌伍武西希席夏肖谢辛雄逊雅亚延扬耶伊依易因英尤于约泽扎詹珍翰罕芝治兹佐扎买力江努热依古丽卓玛央金顿珠罗布旺堆嘎巴雅尔图其木格尔达来提汗迪莎田中美咲"
)
_FAMILY_OR_FOREIGN: Final = re.compile(
    rf"(?:{_FAMILY_OF_TWO})[{_GIVEN}]{{1,2}}|[{_FAMILY}][{_GIVEN}]{{2}}|(?!(.)\1\1)[{_FOREIGN}]{{3,8}}|[{_FAMILY}][{_ALONE}]"
)
_TAUGHT: Final = 2  # training texts that hold it, from which on it is a word of theirs


@dataclass(frozen=True)
class ChineseNames:
    """neutral: what is read in place of any name. ordinary: what looks like one and is none."""

    neutral: str
    ordinary: frozenset[str] = frozenset()

    def read(self, text: str) -> str:
        """The text as the release reads it."""
        return _FAMILY_OR_FOREIGN.sub(self._instead, text)

    def fitted_to(self, texts: Sequence[str]) -> Self:
        """The same for a release trained on these."""
        looks = ({match.group() for match in _FAMILY_OR_FOREIGN.finditer(text)} for text in texts)
        counts = Counter(word for words in looks for word in words)
        return replace(self, ordinary=self.ordinary | {word for word, count in counts.items() if count >= _TAUGHT})

    def as_json(self) -> dict[str, Any]:
        """For `from_json`; the same for the same words."""
        return {"neutral": self.neutral, "ordinary": sorted(self.ordinary)}

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError where it is none."""
        return cls(str(parts["neutral"]), frozenset(map(str, parts["ordinary"])))

    def _instead(self, match: re.Match[str]) -> str:
        return match.group() if match.group() in self.ordinary else self.neutral
