import extensions
import lxml
from lxml import etree, html, objectify

tree = etree.XML("<a xmlns:p='urn:p'><b n='1'>x</b><b n='2'/><p:c>ü</p:c></a>")
print(tree.xpath("//b[@n > 1]/@n"), tree.find("{urn:p}c").text)
style = etree.XSLT(
    etree.XML(
        "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
        "<xsl:template match='/'><out><xsl:value-of select='count(//b)'/></out></xsl:template>"
        "</xsl:stylesheet>"
    )
)
print(str(style(tree)))
print(html.tostring(html.fromstring("<p>one<br>two<p>three"), pretty_print=True).decode())
print(objectify.fromstring("<r><n>4</n></r>").n + 1)
relax = etree.RelaxNG(
    etree.XML("<element name='a' xmlns='http://relaxng.org/ns/structure/1.0'><text/></element>")
)
print(relax.validate(tree), relax.error_log.last_error.message)
# Its Schematron is made of stylesheets beside the module.
from lxml import isoschematron  # noqa: E402

rules = isoschematron.Schematron(
    etree.XML(
        "<schema xmlns='http://purl.oclc.org/dsdl/schematron'><pattern><rule context='b'>"
        "<assert test='@n'>no n</assert></rule></pattern></schema>"
    )
)
print(rules.validate(tree))
try:
    etree.fromstring("<a><b></a>")
except etree.XMLSyntaxError as error:
    print(error)
print(lxml.get_include()[0])
extensions.show(etree, objectify)
